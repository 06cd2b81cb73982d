"""The ledger of names: what was known under a name belongs to the document that had it then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.names import NOTHING, Ledger, Name
from engine.runs.concurrency import renamed_groups
from tests.catalogs import catalog


def jobs(*named: str, commit: str = "c" * 40, kind: str = "Job") -> Catalog:
    """Of jobs by name; `new<old,older` says that it had other names before."""
    texts = []
    for one in named:
        name, _, former = one.partition("<")
        spec = "steps: [{uses: dummy}]" if kind == "Job" else "jobs: {a: {wait: 5m}}"
        texts.append(f"kind: {kind}\nmetadata: {{name: {name}, previousNames: [{former}]}}\nspec: {{{spec}}}\n")
    return catalog(*texts, commit=commit)


def after(*commits: str | Sequence[str]) -> Catalog:
    """The last of these commits, each of one job or several."""
    ledger = NOTHING
    for number, named in enumerate(commits, start=1):
        known = jobs(*([named] if isinstance(named, str) else named), commit=f"{number:040d}").after(ledger)
        ledger = known.names
    return known


def test_a_chain_of_renames_needs_only_the_last_name() -> None:
    known = after("a", "b<a", "c<b", "d<c", "d")
    assert [known.name_now("Job", name) for name in "abcd"] == ["d"] * 4
    assert set(known.former_names("Job", "d")) == {"a", "b", "c"}
    assert known.names_then("Job", 0) == dict.fromkeys("abc", "d")


def test_it_says_from_which_commit_until_which() -> None:
    first, second, third = (f"{number:040d}" for number in (1, 2, 3))
    known = after("a", "b<a", "c<b")
    assert first not in {one.came for one in known.names}
    assert sorted(known.names, key=lambda one: one.since) == [
        Name("Job", "a", 0, 1, "c", None, second),
        Name("Job", "b", 1, 2, "c", second, third),
        Name("Job", "c", 2, None, "c", third, None),
    ]


def test_a_name_that_is_taken_again_is_the_others_from_then_on() -> None:
    known = after("a", "b<a", ("b", "a"), ("c<b", "a"), ("c", "d<a"))
    assert known.name_now("Job", "a") == "d", "it was the last that had it"
    assert [known.name_now("Job", "a", at) for at in range(5)] == ["c", "c", "d", "d", "d"]
    assert known.names_then("Job", 0) == {"a": "c", "b": "c"}
    assert known.names_then("Job", 2)["a"] == "d"
    assert (known.former_names("Job", "c"), known.former_names("Job", "d")) == (("b",), ("a",))


def test_nobody_claims_the_past_of_a_document_that_goes_on() -> None:
    """`previousNames` of another may name what is free today; what it was belongs to who had it."""
    known = after("a", "b<a", ("b", "x<a"))
    assert (known.name_now("Job", "a"), known.former_names("Job", "x")) == ("b", ())


@pytest.mark.parametrize("back", ["a", "a<b"])
def test_a_rename_that_is_taken_back_takes_all_of_it_along(back: str) -> None:
    """`git revert` says nothing of the name that is given up."""
    known = after("a", "b<a", back)
    assert (known.name_now("Job", "b"), known.name_now("Job", "a")) == ("a", "a")
    again = known.after(known.names)
    assert again.names == known.names, "the same commit again"


def test_what_is_gone_and_comes_back_is_what_it_was() -> None:
    """Under the name that it had last, or under an earlier one."""
    assert after(("a", "z"), ("b<a", "z"), "z", ("b", "z")).name_now("Job", "a") == "b"
    assert after(("a", "z"), ("b<a", "z"), "z", ("a", "z")).name_now("Job", "b") == "a"
    assert after(("a", "z"), ("b<a", "z"), "z", ("c<a", "z")).name_now("Job", "b") == "c"


def test_what_is_gone_keeps_the_last_name_that_it_had() -> None:
    """Also where another has its first: what it did then is not the other's."""
    known = after(("a", "z"), ("b<a", "z"), ("b", "a", "z"), ("a", "z"))
    assert known.names_then("Job", 0) == {"a": "b"}
    assert known.name_now("Job", "a", 0) == "b"
    assert renamed_groups(known, 0) == {"a": "b"}
    assert (known.names_then("Job", known.names.generation), renamed_groups(known)) == ({}, {})


def test_a_name_that_passes_on_at_once_is_no_rename_taken_back() -> None:
    """x takes the name that b had before; b is gone."""
    known = after(("a", "x"), ("b<a", "x"), "a<x")
    assert known.name_now("Job", "x") == "a"
    assert known.name_now("Job", "b") == "b", "nobody goes on with what was b's"
    assert known.name_now("Job", "a", 0) == "b"


def test_what_is_said_later_holds_for_what_nobody_knew() -> None:
    """An engine that came late, and two that become one."""
    assert after("c<a,b").names_then("Job", 0) == {"a": "c", "b": "c"}
    known = after(("a", "b"), "c", "c<a,b")
    assert (known.name_now("Job", "a"), known.name_now("Job", "b")) == ("c", "c")


def test_a_change_says_which_names_it_touched() -> None:
    known = after(("a", "x"), ("b<a", "y<x"), ("c<b", "y"))
    assert {(one.name, one.today) for one in known.names.news} == {("a", "c"), ("b", "c"), ("c", "c")}


def test_kinds_are_apart() -> None:
    first = catalog(*(one for kind in ("Job", "Workflow") for one in texts_of("a", kind)))
    second = catalog(*texts_of("b<a", "Job"), *texts_of("a", "Workflow")).after(first.after(NOTHING).names)
    assert (second.name_now("Job", "a"), second.name_now("Workflow", "a")) == ("b", "a")


def texts_of(named: str, kind: str) -> list[str]:
    name, _, former = named.partition("<")
    spec = "steps: [{uses: dummy}]" if kind == "Job" else "jobs: {a: {wait: 5m}}"
    return [f"kind: {kind}\nmetadata: {{name: {name}, previousNames: [{former}]}}\nspec: {{{spec}}}\n"]


@dataclass
class World:
    """Jobs that are told apart by their numbers, whatever their names are: what a ledger is to find out."""

    named: dict[int, str] = field(default_factory=lambda: {0: "a", 1: "b"})
    said: list[Mapping[str, int]] = field(default_factory=list)
    """Who had which name, by the generation of names."""
    ledger: Ledger = NOTHING

    def commit(self, former: Mapping[int, str]) -> Catalog:
        texts = [f"{name}<{former[one]}" if one in former else name for one, name in self.named.items()]
        known = jobs(*texts).after(self.ledger)
        self.ledger = known.names
        holders = {name: one for one, name in self.named.items()}
        del self.said[known.names.generation :]
        self.said += [holders] * (known.names.generation + 1 - len(self.said))
        return known


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_whoever_had_a_name_then_is_found_by_it(data: st.DataObject) -> None:
    """Names are given up, taken by others and given up again; each commit says only the name before."""
    world = World()
    known = world.commit({})
    for _ in range(data.draw(st.integers(1, 8))):
        free = sorted({"a", "b", "c", "d", "e"} - set(world.named.values()))
        one = data.draw(st.sampled_from(sorted(world.named)))
        if len(world.named) < 4 and data.draw(st.booleans()):
            # What is given up by a job that goes on is free for another.
            world.named[len(world.named)] = data.draw(st.sampled_from(free))
            known = world.commit({})
        else:
            former, world.named[one] = world.named[one], data.draw(st.sampled_from(free))
            known = world.commit({one: former})
        for generation, holders in enumerate(world.said):
            for name, holder in holders.items():
                assert known.name_now("Job", name, generation) == world.named[holder], (generation, name)
