"""Whose status branch is taken over when a store is lost: by real keys, the engine's own and those before it."""

from pathlib import Path

import pytest

from engine.authority.trustfile import TrustFileError, parse
from journal.errors import Refused
from reconciler.authority.keyfiles import KeyFiles
from reconciler.authority.signatures import Signatures
from reconciler.authority.statuskey import StatusKey
from tests.signing import Keys, Repository, SshKey
from tests.trustground import NOW


class Ground:
    """Keys, a trust file, and commits by the keys."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys(folder)
        self.repository = Repository.made(folder / "ops.git")
        self.own, self.old, self.ana = (self.keys.ssh(name) for name in ("own", "old", "ana"))
        self.trust = folder / "trust"

    def believes(self, by: SshKey | None, trust: str | None = None) -> bool:
        """Whether an engine with the new key believes what this key has signed."""
        if trust is not None:
            self.trust.write_text(trust)
        key = StatusKey(self.own.path, self.trust.parent / "rooms", None if trust is None else self.trust)
        commit = self.repository.commit({"sync.yaml": "x\n"}, by=by)
        return key.wrote(self.repository.raw(commit), commit)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_a_former_key_is_believed_where_the_trust_file_names_it(ground: Ground) -> None:
    assert ground.believes(ground.own)
    assert not ground.believes(ground.old)
    assert not ground.believes(None, f"@engine {ground.old.public}\n")
    assert ground.believes(ground.own, f"@engine {ground.old.public}\n")
    assert ground.believes(ground.old, f"@engine {ground.old.public} of 2025\n")


def test_a_stolen_key_and_a_person_are_not_believed(ground: Ground) -> None:
    """Also not one who is called as the engine is, or who is trusted for definitions."""
    stolen = f"@engine {ground.old.public}\n@revoked {ground.old.public}\n"
    assert not ground.believes(ground.old, stolen)
    assert not ground.believes(ground.ana, f"@engine {ground.old.public}\nengine {ground.ana.public}\n")
    with pytest.raises(TrustFileError, match="one key is given to two: @engine and ana"):
        parse(f"@engine {ground.old.public}\nana {ground.old.public}\n")


def test_a_former_key_signs_no_definitions(ground: Ground) -> None:
    ground.trust.write_text(f"@engine {ground.old.public}\n")
    commit = ground.repository.commit({"a.yaml": "x\n"}, by=ground.old)
    checks = Signatures(KeyFiles(ground.trust, ground.trust.parent / "rooms"))
    found = checks.check(ground.repository.raw(commit), commit, {}, NOW)
    assert getattr(found, "reason", None) == "unknownKey"


def test_a_trust_file_that_is_not_understood_puts_no_branch_aside(ground: Ground) -> None:
    """It might have named the key that signed it: nothing is decided until it is mended."""
    assert ground.believes(ground.own, "nonsense\n")
    with pytest.raises(Refused, match=r"not signed by .* line 1"):
        ground.believes(ground.old, "nonsense\n")
