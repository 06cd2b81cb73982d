"""One commit may not remove too much at once."""

import pytest

from engine.prune import removed_too_much
from tests.catalogs import PROJECT, catalog, local_target


def fleet(count: int, prune: str = "{}") -> tuple[str, ...]:
    return tuple(local_target(f"t-{n:02}") for n in range(count))


@pytest.mark.parametrize(("before", "after", "refused"), [(40, 32, False), (40, 31, True), (6, 1, False), (6, 0, True)])
def test_more_than_five_and_more_than_the_share_is_refused(before: int, after: int, refused: bool) -> None:
    found = removed_too_much(catalog(*fleet(before)), catalog(*fleet(after)))
    assert [finding.code for finding in found] == (["OC340"] if refused else [])


def test_the_commit_in_force_decides_not_the_new_one() -> None:
    lifted = PROJECT.replace("spec: {}", "spec: {prune: {maxDeletes: '100%'}}")
    assert removed_too_much(catalog(*fleet(20)), catalog(project=lifted))


def test_a_rename_is_no_removal() -> None:
    renamed = [local_target(f"n-{n:02}").replace("labels", f"previousNames: [t-{n:02}], labels") for n in range(20)]
    assert removed_too_much(catalog(*fleet(20)), catalog(*renamed)) == ()


def test_a_protected_document_stays() -> None:
    project = PROJECT.replace("spec: {}", "spec: {prune: {protect: [Target/t-00]}}")
    (finding,) = removed_too_much(catalog(*fleet(2), project=project), catalog(*fleet(2)[1:]))
    assert (finding.code, "Target/t-00" in finding.message) == ("OC341", True)
