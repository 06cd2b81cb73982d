"""Which commits may come into force. In this version: history must not be rewritten; signatures come later."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trusted:
    """The commit may be compiled. `by_name` says that a person on the server named it with `accept`."""

    commit: str
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Frozen:
    """The commit is not looked into; the last good one stays in force until a person decides."""

    commit: str
    reason: str
    message: str


Verdict = Trusted | Frozen


def judge(head: str, trusted: str | None, *, descends: bool, accepted_by_name: str | None) -> Verdict:
    """Whether the head of the branch may be taken, given the last commit that was.

    `descends` says whether `trusted` is an ancestor of `head` (or the same).
    """
    if accepted_by_name == head:
        return Trusted(head, by_name=True)
    if trusted is None or descends:
        return Trusted(head)
    return Frozen(
        head,
        "HistoryRewritten",
        f"the branch was rewritten: {head[:12]} does not descend from {trusted[:12]}, which stays in force; "
        f"push a commit on top of that one, or run 'opsconductor accept {head}' on the server",
    )
