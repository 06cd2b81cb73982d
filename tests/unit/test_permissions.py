"""Who may do what, by Policies: the attempts to get round them, and what a plan says of it all."""

import pytest

from engine.authority.permissions import ANYHOW, Allowed, Denied, Permissions, Terms, Thing, of
from engine.changes.plan import Plan
from opsconductor.plans.planmarkdown import as_markdown
from opsconductor.plans.planreport import as_data, as_text
from tests.catalogs import local_target
from tests.planned import job, planned, tree

HERE = local_target("here", "{role: web}")
WORK = job("work", "{names: [here]}", ", labels: {team: web}")
USERS = (
    "kind: User\nmetadata: {name: ana}\nspec: {teams: [web, admins]}\n",
    "kind: User\nmetadata: {name: bo}\nspec: {teams: [web]}\n",
    "kind: User\nmetadata: {name: cy}\n",
)
WEB = "{subjects: [web], verbs: [change, run], objects: {selector: {matchLabels: {team: web}}}}"
ADMINS = "{subjects: [admins], verbs: [change, run, approve, cancel]}"


def policy(*rules: str, name: str = "p") -> str:
    return f"kind: Policy\nmetadata: {{name: {name}}}\nspec: {{rules: [{', '.join(rules)}]}}\n"


def permissions(*rules: str) -> Permissions:
    catalog = tree(HERE, WORK, *USERS, policy(*rules)).catalog
    assert catalog is not None
    return of(catalog)


def thing(kind: str = "Job", name: str = "x", file: str = "definitions/web/x.yaml", **labels: str) -> Thing:
    return Thing(kind, name, file, labels)


def who(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {need.document: tuple(user for grant in need.grants for user in grant.users) for need in plan.permissions}


def test_without_a_policy_everybody_may_and_with_one_only_whom_a_rule_allows() -> None:
    assert Permissions({}, {}).may("anybody", "change", thing()) == ANYHOW
    some = permissions(WEB)
    assert some.may("bo", "change", thing(team="web")) == ANYHOW
    assert some.may("cy", "change", thing(team="web")) == Denied()
    assert some.may("nobody", "change", thing(team="web")) == Denied()
    assert some.may("web", "change", thing(team="web")) == Denied(), "a team is nobody"
    assert some.may("bo", "change", thing(team="db")) == Denied()
    assert some.may("bo", "approve", thing(team="web")) == Denied()


@pytest.mark.parametrize(
    ("objects", "allowed"),
    [
        ("{}", True),
        ("{kinds: [Job]}", True),
        ("{kinds: [Target]}", False),
        ("{paths: ['definitions/web/**']}", True),
        ("{paths: ['definitions/db/**', 'x.yaml']}", False),
        ("{selector: {matchLabels: {team: web}}}", True),
        ("{kinds: [Job], paths: ['definitions/db/**']}", False),
        ("{kinds: [Target], selector: {matchLabels: {team: web}}}", False),
    ],
)
def test_a_rule_speaks_of_what_all_its_fields_match(objects: str, allowed: bool) -> None:
    some = permissions(f"{{subjects: [cy], verbs: [change], objects: {objects}}}")
    assert isinstance(some.may("cy", "change", thing(team="web")), Allowed) is allowed


def test_deny_wins_whatever_its_conditions() -> None:
    some = permissions(ADMINS, "{subjects: [ana], verbs: [change], effect: deny, conditions: {approvals: 3}}")
    assert some.may("ana", "change", thing()) == Denied(("p",))
    assert some.may("ana", "run", thing()) == ANYHOW


def test_of_alternative_terms_those_that_ask_for_more_are_left_out() -> None:
    rule = "{{subjects: [cy], verbs: [change], conditions: {{{}}}}}"
    several = ("signed: true", "approvals: 1", "approvals: 2, notRequester: true", "signed: true, notRequester: true")
    some = permissions(*(rule.format(one) for one in several))
    assert some.may("cy", "change", thing()) == Allowed((Terms(signed=True), Terms(approvals=1)))


def test_a_change_needs_what_both_sides_ask_for() -> None:
    some = permissions(
        "{subjects: [cy], verbs: [change], objects: {paths: ['a/**']}, conditions: {signed: true}}",
        "{subjects: [cy], verbs: [change], objects: {paths: ['b/**']}, conditions: {approvals: 2}}",
    )
    a, b, c = (thing(file=f"{folder}/x.yaml") for folder in "abc")
    grants, denied = some.grants("change", (a, b))
    assert [(grant.users, grant.terms) for grant in grants] == [(("cy",), (Terms(2, signed=True),))]
    assert denied == ()
    assert some.grants("change", (a, c)) == ((), ())


def test_a_plan_says_who_may_make_its_changes() -> None:
    base = (HERE, WORK, *USERS, policy(WEB, ADMINS))
    plan = planned(tree(*base), tree(HERE, WORK.replace("'true'", "'false'"), *USERS, policy(WEB, ADMINS)))
    assert who(plan) == {"Job/work": ("ana", "bo")}
    (need,) = as_data(plan)["permissions"]
    terms = [{"signed": False, "approvals": 0, "notRequester": False}]
    assert need == {
        "document": "Job/work", "verb": "change", "what": "changed", "about": "Job/work",
        "grants": [{"users": ["ana", "bo"], "terms": terms}], "deniedBy": [], "uses": None, "approvers": [],
    }  # fmt: skip
    assert (as_data(plan)["notComputed"], as_data(plan)["notActedOn"]) == ([], ["policies"])
    assert "change Job/work: ana, bo" in as_text(plan)
    assert "change `Job/work`: `ana`, `bo`" in as_markdown(plan)
    for text in (as_text(plan), as_markdown(plan)):
        assert "nobody is held to the permissions" in text


def test_a_commit_is_judged_by_the_policies_it_comes_upon() -> None:
    """A rule for oneself, an own team, the policy deleted: none of it counts in the commit that brings it."""
    base = (HERE, WORK, *USERS, policy(WEB, ADMINS))
    grab = policy(WEB, ADMINS, "{subjects: [cy], verbs: [change]}")
    joined = (*USERS[:2], USERS[2] + "spec: {teams: [admins]}\n")
    assert who(planned(tree(*base), tree(HERE, WORK, *USERS, grab))) == {"Policy/p": ("ana",)}
    assert who(planned(tree(*base), tree(HERE, WORK, *joined, policy(WEB, ADMINS)))) == {"User/cy": ("ana",)}
    assert who(planned(tree(*base), tree(HERE, WORK, *USERS))) == {"Policy/p": ("ana",)}
    assert who(planned(tree(HERE, WORK, *USERS), tree(*base))) == {}, "nobody was asked before there was one"


def test_nothing_gets_out_of_reach_by_a_label_a_name_or_a_file() -> None:
    theirs = "{subjects: [cy], verbs: [change], objects: {paths: ['definitions/1.yaml'], kinds: [Job]}}"
    base = (HERE, WORK, *USERS, policy(WEB, theirs))
    relabelled = job("work", "{names: [here]}", ", labels: {team: db}")
    renamed = job("other", "{names: [here]}", ", labels: {team: web}, previousNames: [work]")
    assert who(planned(tree(*base), tree(HERE, relabelled, *USERS, policy(WEB, theirs)))) == {"Job/work": ("cy",)}
    assert who(planned(tree(*base), tree(HERE, renamed, *USERS, policy(WEB, theirs)))) == {
        "Job/other": ("ana", "bo", "cy")
    }
    moved = planned(tree(*base), tree(WORK, HERE, *USERS, policy(WEB, theirs)))
    assert moved.documents.changed == ()
    assert {need.document: need.what for need in moved.permissions} == {"Job/work": "moved", "Target/here": "moved"}
    assert who(moved) == {"Job/work": ("ana", "bo"), "Target/here": ()}
    assert "change Target/here: nobody may" in as_text(moved)


def test_an_act_needs_the_verb_for_its_job() -> None:
    base = (HERE, WORK, *USERS, policy(WEB, ADMINS))
    asking = ("run", "{jobRef: work}"), ("stop", "{action: cancel, run: work-1}")
    acts = [f"kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {spec}\n" for name, spec in asking]
    plan = planned(tree(*base), tree(*base, *acts))
    assert [(need.document, need.verb, need.about) for need in plan.permissions] == [
        ("RunRequest/run", "run", "Job/work"),
        ("RunRequest/stop", "cancel", "RunRequest/stop"),
    ]
    assert who(plan) == {"RunRequest/run": ("ana", "bo"), "RunRequest/stop": ("ana",)}


def test_a_move_needs_nobody_where_no_policy_asks_for_paths() -> None:
    base = (HERE, WORK, *USERS, policy(WEB))
    moved = planned(tree(*base), tree(WORK, HERE, *USERS, policy(WEB)))
    assert moved.permissions == ()
