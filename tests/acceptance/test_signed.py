"""Signed commits from outside: what nobody trusted signed changes nothing, until a person on the server says so."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.site import MAIN, STATUS, Site, job
from tests.acceptance.test_owner import _settled
from tests.acceptance.test_resumed import slow, stopped_in_the_first_step

Make = Callable[..., Site]
HELLO = job("hello", "- {id: greet, run: echo hello}")
OTHER = {"other.yaml": job("other", "- run: echo two")}


def key(here: Site, name: str) -> Path:
    path = here.root / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def public(path: Path) -> str:
    return " ".join((path.parent / f"{path.name}.pub").read_text().split()[:2])


def conditions(here: Site) -> dict[str, dict[str, str]]:
    return {condition["type"]: condition for condition in here.sync()["conditions"]}


def test_an_unsigned_commit_and_an_unsigned_request_change_nothing_until_somebody_is_trusted(site: Make) -> None:
    """Unsigned: frozen, and said in sync.yaml; accepted by name it is in force; a signed one needs no word."""
    here = site({"hello.yaml": HELLO})
    ana = key(here, "ana")
    trust = here.root / "trust"
    trust.write_text(f"ann@example.org {public(ana)}\n")
    first = here.commit({"more.yaml": job("more", "- run: 'true'")}, by=ana)
    here.up("--verify", "range", "--trust", str(trust))
    assert conditions(here)["Verified"]["status"] == "True"
    assert "ann@example.org" in conditions(here)["Verified"]["message"]

    unsigned = here.commit(OTHER)
    sync = here.rejected(unsigned)
    assert sync["appliedCommit"] == first
    assert conditions(here)["Verified"]["reason"] == "Unsigned"
    assert conditions(here)["Ready"]["status"] == "False"

    here.request("by-nobody", "jobRef: hello")
    here.wait(lambda: here.status("requests/by-nobody.yaml"))
    assert here.status("requests/by-nobody.yaml")["reason"] == "unsigned"

    done = here.run("accept", unsigned, "--source", str(here.source))
    assert done.returncode == 0, done.stderr
    here.in_force(unsigned)
    here.in_force(here.commit({"other.yaml": None}, by=ana))
    text = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: by-ana}\nspec: {jobRef: hello}\n"
    here.commit({"requests/by-ana.yaml": text}, branch="opsconductor/requests", by=ana, message=made_for(here))
    (run,) = here.ended("hello")
    assert run["spec"]["cause"]["requestedBy"] == "ann@example.org"


def test_a_lost_store_is_filled_from_a_branch_that_this_engine_signed_and_from_no_other(site: Make) -> None:
    here = site({"hello.yaml": HELLO})
    own = key(here, "engine-key")
    daemon = here.up("--sign-key", str(own))
    here.request("one", "jobRef: hello")
    (run,) = here.ended("hello")
    assert daemon.stop() == 0
    (here.root / "allowed").write_text(f"engine {public(own)}\n")
    verify = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={here.root / 'allowed'}")
    for commit in here.git("rev-list", STATUS).split():
        here.git(*verify, "verify-commit", commit)

    here.state.rename(here.root / "lost")
    daemon = here.up("--sign-key", str(own))
    here.request("two", "jobRef: hello")
    names = {one["metadata"]["name"] for one in here.ended("hello", 2)}
    assert run["metadata"]["name"] in names
    assert daemon.stop() == 0

    here.state.rename(here.root / "lost-again")
    forged = here.commit({"runs/forged.yaml": "kind: Run\n"}, branch=STATUS)
    here.up("--sign-key", str(own))
    here.wait(lambda: here.head(f"{STATUS}-foreign-{forged[:12]}") == forged)
    here.wait(lambda: here.status("requests/one.yaml"))
    assert here.status("requests/one.yaml")["reason"] == "storeLost", "what was answered must not be done again"
    assert here.runs("hello") == []
    assert here.head(MAIN) == here.sync()["appliedCommit"]


def test_an_unsigned_first_commit_does_not_say_where_the_status_goes(site: Make) -> None:
    """Nothing of it is heeded: else who may push definitions alone could have the engine write to any branch."""
    here = site({"hello.yaml": HELLO})
    trust = here.root / "trust"
    trust.write_text(f"ann@example.org {public(key(here, 'ana'))}\n")
    project = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\n"
    here.commit({"opsconductor.yaml": f"{project}spec: {{status: {{ref: refs/heads/release}}}}\n"})
    here.start("--verify", "head", "--trust", str(trust))
    here.wait(lambda: here.sync().get("observedCommit") == here.head(MAIN))
    assert here.sync()["appliedCommit"] is None
    assert here.head("release") is None
    done = here.run("doctor", str(here.source), "--verify", "head", "--trust", str(trust))
    assert f"{trust}: 1 keys of people" in done.stdout


def made_for(here: Site) -> str:
    """A message that says for which engine a commit is, as those of the command line do."""
    return f"change\n\nOpsConductor-Engine: {here.sync()['engine']['id']}"


def stopped_in_a_run_of_ana_s(site: Make, *more: str) -> tuple[Site, Path, tuple[str, ...]]:
    """An engine that asks for signatures, gone in order within a run of a commit by ana; its store deleted; and her
    key has expired since."""
    here = site({})
    ana, trust = key(here, "ana"), here.root / "trust"
    trust.write_text(f"ann@example.org {public(ana)}\n")
    here.commit({"slow.yaml": slow(here.effects)}, by=ana)
    made = (str(key(here, one[1:])) if one[0] == "+" else one for one in more)
    settings = ("--verify", "range", "--trust", str(trust), *made)
    here.up(*settings)
    text = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: by-ana}\nspec: {jobRef: slow}\n"
    here.commit({"requests/by-ana.yaml": text}, branch="opsconductor/requests", by=ana, message=made_for(here))
    stopped_in_the_first_step(here)
    trust.write_text(f'ann@example.org valid-before="20250101" {public(ana)}\n')
    return here, ana, settings


@pytest.mark.slow
def test_a_lost_store_goes_on_with_a_commit_whose_signer_has_expired_and_takes_no_newer_one_of_theirs(
    site: Make,
) -> None:
    """What was accepted is not judged again: the engine's own signature says that it was."""
    here, ana, settings = stopped_in_a_run_of_ana_s(site, "--sign-key", "+engine-key")
    head = here.head(MAIN)
    here.up(*settings)
    (run,) = here.ended("slow")
    assert (run["status"]["state"], run["spec"]["commit"]) == ("succeeded", head)
    assert here.left("work") == ["1", "2", "3", "fin"]
    assert here.rejected(here.commit(OTHER, by=ana))["appliedCommit"] == head
    assert conditions(here)["Verified"]["reason"] == "Untrusted"
    assert "expired" in conditions(here)["Verified"]["message"]


@pytest.mark.slow
def test_a_lost_store_believes_no_branch_that_nobody_signed_about_a_commit_whose_signer_has_expired(site: Make) -> None:
    """Who can push the status branch could else bring back what nobody may bring any more."""
    here, _, settings = stopped_in_a_run_of_ana_s(site)
    (before,) = here.runs("slow")
    here.start(*settings)
    run = here.wait(lambda: _settled(here, before["metadata"]["name"]), what="the open run settled")
    assert (run["status"]["state"], run["status"]["reason"]) == ("unknown", "storeLost")
    here.wait(lambda: conditions(here).get("Verified", {}).get("reason") == "Untrusted")
    assert here.sync()["appliedCommit"] is None
    assert here.left("work") == ["1"]
