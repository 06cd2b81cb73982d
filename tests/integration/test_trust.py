"""The chain of commits that the engine believes, one by one. By real keys, made by real git."""

import pygit2
import pytest

from engine.authority.trust import Change, MergedBy, Stopped
from reconciler.authority import chain
from reconciler.authority.chain import Trusted
from reconciler.definitions import Definitions
from reconciler.repository.objects import Objects
from tests.signing import Gpg, SshKey
from tests.trees import without_end
from tests.trustground import JOB, NOW, PROJECT, Ground, at, by, user, why

# --- the chain --------------------------------------------------------------------------------------------------------


def test_nobody_signs_with_a_key_that_the_commit_itself_brings(ground: Ground) -> None:
    root = ground.root()
    head = ground.repository.commit(user("eve", ground.eve), root, by=ground.eve)
    assert at(ground.follow(head, root)) == root


def test_who_was_added_by_an_admin_may_sign_from_then_on_fetched_together_or_apart(ground: Ground) -> None:
    root = ground.root()
    added = ground.repository.commit(user("bob", ground.bob), root, by=ground.ana)
    changed = ground.commit("by bob", added, by=ground.bob)
    together = ground.follow(changed, root)
    assert (at(together), by(together)) == (changed, "bob")
    apart = ground.follow(changed, at(ground.follow(added, root)))
    assert (at(apart), by(apart)) == (changed, "bob")


def test_an_unsigned_commit_in_between_stops_what_comes_after_it(ground: Ground) -> None:
    root = ground.root()
    first = ground.commit("1", root, by=ground.ana)
    unsigned = ground.commit("2", first)
    head = ground.commit("3", unsigned, by=ground.ana)
    followed = ground.follow(head, root)
    assert at(followed) == first
    assert followed.stopped is not None
    assert followed.stopped.commit == unsigned


def test_trust_goes_on_from_a_commit_whose_documents_are_not_valid(ground: Ground) -> None:
    root = ground.root()
    invalid = ground.repository.commit({JOB: "kind: Job\nspec: [\n"}, root, by=ground.ana)
    mended = ground.repository.commit({JOB: ""}, invalid, by=ground.ana)
    assert at(ground.follow(mended, root)) == mended


def test_a_project_that_cannot_be_read_does_not_lift_the_mode(ground: Ground) -> None:
    root = ground.root()
    broken = ground.repository.commit({"opsconductor.yaml": "kind: [\n"}, root, by=ground.ana)
    followed = ground.follow(ground.commit("x", broken), root)
    assert at(followed) == broken
    assert followed.trusted is not None
    assert followed.trusted.mode == "range"


def test_a_removed_user_signs_nothing_more(ground: Ground) -> None:
    root = ground.root(user("bob", ground.bob))
    removed = ground.repository.commit({"definitions/users/bob.yaml": ""}, root, by=ground.ana)
    followed = ground.follow(ground.commit("x", removed, by=ground.bob), root)
    assert at(followed) == removed


def test_who_signs_a_merge_answers_for_what_it_brings(ground: Ground) -> None:
    root = ground.root()
    unsigned = ground.commit("by somebody", root)
    merge = ground.repository.commit({}, root, unsigned, by=ground.ana, tree=f"{unsigned}^{{tree}}")
    followed = ground.follow(merge, root)
    assert (at(followed), by(followed)) == (merge, "ana")


def test_a_merge_of_main_into_a_branch_is_judged_over_all_that_it_brings(ground: Ground) -> None:
    """The branch moves forward to a merge whose first parent is the feature: no step hides in the second parent."""
    root = ground.root()
    main = ground.commit("main", root, by=ground.ana)
    feature = ground.repository.commit({"definitions/b.yaml": "# b\n"}, root)
    tree = ground.repository.tree({"definitions/b.yaml": "# b\n"}, main)
    foxtrot = ground.repository.commit({}, feature, main, by=ground.ana, tree=tree)
    seen: list[Change] = []
    ground.permits = lambda change: seen.append(change)  # type: ignore[func-returns-value]
    followed = ground.follow(foxtrot, main)
    assert (at(followed), by(followed)) == (foxtrot, "ana")
    assert [(change.base, change.commit) for change in seen] == [(main, foxtrot)]


def test_mode_head_asks_for_the_signature_of_the_head_alone(ground: Ground) -> None:
    root = ground.root(mode="head")
    head = ground.commit("2", ground.commit("1", root), by=ground.ana)
    chain = ground.chain()
    assert chain.follow(head, Trusted(root, "head"), by_name=None, now=NOW).stopped is None
    unsigned = ground.commit("3", head)
    assert chain.follow(unsigned, Trusted(root, "head"), by_name=None, now=NOW).stopped is not None


def test_in_mode_head_an_unsigned_commit_cannot_bring_the_key_that_signs_the_head(ground: Ground) -> None:
    root = ground.root(mode="head")
    brought = ground.repository.commit(user("eve", ground.eve), root)
    head = ground.commit("2", brought, by=ground.eve)
    assert ground.chain().follow(head, Trusted(root, "head"), by_name=None, now=NOW).stopped is not None


def test_the_stricter_of_settings_and_project_is_in_force(ground: Ground) -> None:
    root = ground.root(mode="none")
    head = ground.commit("a", root)
    chain = ground.chain("none")
    assert chain.follow(head, Trusted(root, "none"), by_name=None, now=NOW).stopped is None
    for mode in ("head", "range"):
        followed = ground.chain(mode).follow(head, Trusted(root, "none"), by_name=None, now=NOW)
        assert followed.stopped is not None
        assert followed.mode == mode


def test_a_project_that_asks_for_signatures_is_heeded_from_the_next_commit_on(ground: Ground) -> None:
    root = ground.root(mode="none")
    free = ground.commit("a", root)
    asks = ground.repository.commit({"opsconductor.yaml": PROJECT.format(mode="range")}, free)
    later = ground.commit("y", ground.commit("x", asks), by=ground.ana)
    together = ground.chain().follow(later, Trusted(root, "none"), by_name=None, now=NOW)
    assert (at(together), together.mode) == (asks, "range"), "also where all came at once"
    lifts = ground.repository.commit({"opsconductor.yaml": PROJECT.format(mode="none")}, asks)
    assert at(ground.chain().follow(lifts, Trusted(root, "none"), by_name=None, now=NOW)) == asks
    apart = ground.chain().follow(asks, Trusted(root, "none"), by_name=None, now=NOW).trusted
    assert ground.chain().follow(ground.commit("x", asks), apart, by_name=None, now=NOW).stopped is not None


# --- the first commit -------------------------------------------------------------------------------------------------


def test_the_first_commit_is_judged_by_the_settings_alone(ground: Ground) -> None:
    root = ground.root()
    assert at(ground.follow(root, None)) == root
    assert ground.follow(root, None, mode="range").stopped is not None
    files = {"opsconductor.yaml": PROJECT.format(mode="none"), **user("eve", ground.eve)}
    own = ground.repository.commit(files, by=ground.eve)
    assert ground.follow(own, None, mode="head").stopped is not None, "its own Users cannot speak for it"
    ground.lines = [f"ana@example.org {ground.ana.public}"]
    signed = ground.commit("x", root, by=ground.ana)
    assert at(ground.follow(signed, None, mode="range")) == signed


# --- a forge ----------------------------------------------------------------------------------------------------------


def _forge(ground: Ground) -> SshKey:
    forge = ground.keys.ssh("forge")
    ground.lines = [f"@forge example {forge.public}"]
    return forge


def test_a_forge_s_merge_is_answered_for_by_those_whose_commits_it_merges(ground: Ground) -> None:
    forge = _forge(ground)
    root = ground.root(user("bob", ground.bob))
    work = ground.commit("2", ground.commit("1", root, by=ground.bob), by=ground.ana)
    merge = ground.repository.commit({}, root, work, by=forge, tree=f"{work}^{{tree}}")
    followed = ground.follow(merge, root)
    assert followed.trusted is not None
    signature = followed.trusted.signature
    assert isinstance(signature, MergedBy)
    assert {one.user for one in signature.signers} == {"ana", "bob"}


@pytest.mark.parametrize("of", ["unsigned", "stranger"])
def test_a_forge_s_merge_of_what_nobody_answers_for_stops(ground: Ground, of: str) -> None:
    forge = _forge(ground)
    root = ground.root()
    unproven = ground.commit("1", root, by=ground.eve if of == "stranger" else None)
    work = ground.commit("2", unproven, by=ground.ana)
    merge = ground.repository.commit({}, root, work, by=forge, tree=f"{work}^{{tree}}")
    assert unproven[:12] in why(ground.follow(merge, root))


def test_a_squash_by_a_forge_has_nobody_to_answer_for_it(ground: Ground) -> None:
    forge = _forge(ground)
    root = ground.root()
    assert "do not squash" in why(ground.follow(ground.commit("x", root, by=forge), root))


def test_a_forge_s_merge_may_hold_nothing_but_what_it_merges(ground: Ground) -> None:
    forge = _forge(ground)
    root = ground.root()
    work = ground.commit("1", root, by=ground.ana)
    tree = ground.repository.tree({"definitions/evil.yaml": "# evil\n"}, work)
    merge = ground.repository.commit({}, root, work, by=forge, tree=tree)
    assert "more than a merge" in why(ground.follow(merge, root))


def test_a_forge_s_key_stays_one_where_a_user_claims_it(ground: Ground) -> None:
    forge = _forge(ground)
    root = ground.root(user("eve", forge))
    assert ground.follow(ground.commit("x", root, by=forge), root).stopped is not None


# --- rewritten history, and a person's word ---------------------------------------------------------------------------


def test_rewritten_history_freezes_whoever_signed_it(ground: Ground) -> None:
    root = ground.root()
    trusted = ground.commit("1", root, by=ground.ana)
    other = ground.commit("2", root, by=ground.ana)
    followed = ground.follow(other, trusted)
    assert at(followed) == trusted
    assert followed.stopped is not None
    assert followed.stopped.reason == "HistoryRewritten"
    assert followed.mode == "range", "as the Project asks"
    named = ground.follow(other, trusted, by_name=other)
    assert (at(named), named.mode) == (other, "range")


def test_a_commit_that_was_accepted_by_name_lets_the_chain_go_on(ground: Ground) -> None:
    root = ground.root()
    unsigned = ground.commit("1", root)
    head = ground.commit("2", unsigned, by=ground.ana)
    followed = ground.follow(head, root, by_name=unsigned)
    assert (at(followed), followed.named) == (head, True)
    more = ground.commit("3", head)
    assert at(ground.follow(more, root, by_name=unsigned)) == head, "the commits after it are judged"


def test_a_name_counts_in_a_long_history_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came long before it is none of its business."""
    root = ground.root()
    for _ in range(4):
        root = ground.commit("old", root, by=ground.ana)
    unsigned = ground.commit("1", root)
    head = ground.commit("2", unsigned, by=ground.ana)
    monkeypatch.setattr(chain, "_LONGEST", 3)
    assert at(ground.follow(head, root, by_name=unsigned)) == head


def test_a_name_is_of_use_once(ground: Ground) -> None:
    """What was accepted long ago brings no other history in, and takes nothing back."""
    root = ground.root()
    named = ground.commit("1", root)
    trusted = ground.commit("2", named, by=ground.ana)
    other = ground.commit("evil", named, by=ground.ana)
    assert at(ground.follow(other, trusted, by_name=named)) == trusted


# --- failing closed ---------------------------------------------------------------------------------------------------


def test_without_the_trust_file_nothing_is_believed(ground: Ground) -> None:
    root = ground.root()
    head = ground.commit("x", root, by=ground.ana)
    chain = ground.chain()
    ground.file.unlink()
    followed = chain.follow(head, Trusted(root, "none"), by_name=None, now=NOW)
    assert followed.stopped is not None
    assert followed.stopped.reason == "TrustUnavailable"
    assert str(ground.file) in why(followed)


@pytest.mark.parametrize(
    "line",
    ["@unknown x", "ana@example.org", "* ssh-ed25519 A", "@revoked", "@revoked-keys missing", "@forge x", "@forge x y"],
)
def test_a_trust_file_that_is_not_understood_makes_nothing_believed(ground: Ground, line: str) -> None:
    root = ground.root()
    ground.lines = [f"ana@example.org {ground.ana.public}", line]
    followed = ground.follow(ground.commit("x", root, by=ground.ana), root)
    assert followed.stopped is not None
    assert followed.stopped.reason == "TrustUnavailable"


def test_a_trust_file_that_everybody_may_write_is_not_heeded(ground: Ground) -> None:
    root = ground.root()
    head = ground.commit("x", root, by=ground.ana)
    chain = ground.chain()
    ground.file.chmod(0o666)
    assert "everybody may write" in why(chain.follow(head, Trusted(root, "range"), by_name=None, now=NOW))


def test_a_trust_file_that_was_written_is_read_again(ground: Ground) -> None:
    root = ground.root()
    head = ground.commit("x", root, by=ground.bob)
    chain = ground.chain()
    before = chain.stamp()
    assert chain.follow(head, Trusted(root, "range"), by_name=None, now=NOW).stopped is not None
    ground.file.write_text(f"bob@example.org {ground.bob.public}\n")
    assert chain.stamp() != before
    assert chain.follow(head, Trusted(root, "range"), by_name=None, now=NOW).stopped is None


@pytest.mark.parametrize("program", ["ssh-keygen", "gpg"])
def test_without_its_program_no_signature_is_believed(
    ground: Ground, gpg: Gpg, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = gpg.key("bob@example.org")
    ground.lines = [f"bob@example.org openpgp:{key}", "@openpgp-keys keys.asc"] if program == "gpg" else []
    gpg.exported(ground.folder / "keys.asc")
    root = ground.root()
    signer = {"by": key, "gnupg": gpg} if program == "gpg" else {"by": ground.ana}
    head = ground.repository.commit({JOB: "# x\n"}, root, **signer)  # type: ignore[arg-type]
    (ground.folder / "bin").mkdir()
    monkeypatch.setenv("PATH", str(ground.folder / "bin"))
    followed = ground.follow(head, root)
    assert followed.stopped is not None
    assert followed.stopped.reason == "TrustUnavailable"
    assert f"{program} was not found" in why(followed)


# --- permission -------------------------------------------------------------------------------------------------------


def test_permission_is_asked_for_each_step_under_the_policies_of_its_base(ground: Ground) -> None:
    policy = (
        "apiVersion: opsconductor/v1\nkind: Policy\nmetadata: {name: all}\n"
        "spec: {rules: [{subjects: [ana], verbs: [change]}]}\n"
    )
    root = ground.root({"definitions/policy.yaml": policy})
    first = ground.repository.commit(user("bob", ground.bob), root, by=ground.ana)
    gone = ground.repository.commit({"definitions/policy.yaml": ""}, first, by=ground.ana)
    head = ground.commit("x", gone, by=ground.bob)
    seen: list[Change] = []

    def permits(change: Change) -> Stopped | None:
        seen.append(change)
        return None

    ground.permits = permits
    assert ground.follow(head, root).stopped is None
    assert [change.base for change in seen] == [root, first, gone]
    assert [sorted(change.authority.policies) for change in seen] == [["all"], ["all"], []]
    assert seen[1].paths == ("definitions/policy.yaml",)


def test_a_policy_that_cannot_be_read_stays_in_force(ground: Ground) -> None:
    """A slip in its file must not open what it closes."""
    policy = (
        "apiVersion: opsconductor/v1\nkind: Policy\nmetadata: {name: all}\n"
        "spec: {rules: [{subjects: [ana], verbs: [change]}]}\n"
    )
    root = ground.root({"definitions/policy.yaml": policy})
    good = Definitions(Objects(ground.repository.path))._load(root).catalog
    assert good is not None
    broken = ground.repository.commit({"definitions/policy.yaml": policy + "nonsense: 1\n"}, root, by=ground.ana)
    head = ground.commit("x", broken, by=ground.ana)
    seen: list[Change] = []
    ground.permits = lambda change: seen.append(change)  # type: ignore[func-returns-value]
    chain = ground.chain()
    assert chain.follow(head, Trusted(root, "range"), by_name=None, now=NOW, good=good).stopped is None
    assert sorted(seen[1].authority.policies) == ["all"]


def test_what_is_read_of_people_is_the_same_however_it_was_come_by(ground: Ground) -> None:
    """Also of files that are not read: what counts must not hang on when the engine was started."""
    root = ground.root()
    eve = user("eve", ground.eve)["definitions/users/eve.yaml"]
    for path in ("definitions/x\ty.yaml", f"definitions/{'d/' * 17}eve.yaml", "definitions/\u0065\u0301.yaml"):
        head = ground.repository.commit({path: eve}, root, by=ground.ana)
        chain = ground.chain()
        step_by_step = chain.follow(
            ground.commit("x", head, by=ground.eve), Trusted(root, "range"), by_name=None, now=NOW
        )
        anew = ground.follow(ground.commit("x", head, by=ground.eve), head)
        assert (at(step_by_step), at(anew)) == (head, head)


def test_a_commit_without_end_costs_little_and_stops_as_any_other(ground: Ground) -> None:
    """A tree of a kilobyte may hold more files than can be counted; also where nobody has signed it."""
    root = ground.root()
    repository = pygit2.Repository(str(ground.repository.path))
    base = ground.repository.git("ls-tree", root)
    listing = f"{base}\n040000 tree {without_end(repository)}\tx\n"
    tree = ground.repository.git("mktree", data=listing.encode())
    bomb = ground.repository.commit({}, root, tree=tree)
    head = ground.repository.commit({}, bomb, tree=tree)
    assert why(ground.follow(head, root)).startswith(f"commit {bomb[:12]} is not signed")
    mine = ground.repository.commit({}, root, by=ground.ana, tree=tree)
    head = ground.repository.commit({}, mine, by=ground.ana, tree=tree)
    assert at(ground.follow(head, root)) == head
