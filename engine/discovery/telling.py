"""A proposal in words: the commit's message, and the pull request's title and text. What hosts say stands in code."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from engine.discovery.proposal import WARNINGS, Outcome, Row, Verdict
from engine.discovery.seen import SeenHost, line

ROWS = 200
"""Hosts of one table. A pull request's text has its limits at every forge, and a reader has his."""
LINES, NOTES = 12, 8
"""Of one host in a table: a machine with keys on every port is not to push the others out of it."""
_LONGEST = 200
_LEAST = 2_000
"""Characters that each Discovery has, as long as there are any."""
_MORE = "What is left out stands in the DiscoveryReport on the status branch.\n"
TITLE = "Discovery "
"""What the message of every proposal begins with."""
_SHOWN: tuple[Verdict, ...] = ("new", "changed", "gone")
_ORDER: tuple[Verdict, ...] = ("changed", "same", "new", "gone")
"""Of the tables: what is told of machines that are used already stands before what anybody may add by the dozen."""
_HEADS = {
    "new": "New hosts",
    "changed": "Changed hosts",
    "same": "Known hosts to look at",
    "gone": "Hosts that are gone",
}
_MEANS = {
    "new": "Merging admits them. To keep one out for good, add what it is known by to `spec.ignore` of the Discovery.",
    "changed": "Hosts that are Targets already, with what is different now.",
    "same": "Nothing is changed of them: what is noted is for people to judge.",
    "gone": "A host that stays away is marked with the label `stale`, and never removed.",
}


def title(outcomes: Mapping[str, Outcome]) -> str:
    """One line: whose, and how many."""
    counts = [(verdict, sum(one.count(verdict) for one in outcomes.values())) for verdict in _SHOWN]
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    return f"{TITLE}{', '.join(sorted(outcomes))}: {said or 'nothing new'}"[:200]


def message(outcomes: Mapping[str, Outcome]) -> str:
    """The commit's: its title, and the runs that scanned."""
    runs = "\n".join(f"Run: {one.scan.run}" for _, one in sorted(outcomes.items()))
    return f"{title(outcomes)}\n\n{runs}\n"


def body(outcomes: Mapping[str, Outcome], most: int = 60_000) -> str:
    """Markdown, at most `most` characters. What does not fit is left out by the row, what is of least weight first."""
    text = (
        "A scan, an inventory, or a run that gathers facts found what is below, and nobody has looked at it yet. "
        "Names, versions, facts, keys and certificates are what the hosts themselves say: **compare the keys with what "
        "you know of the hosts before you merge.** This request is written anew by every scan; to change what it "
        "proposes, merge it, or change the Discovery.\n\n"
    )
    is_whole = True
    for number, (name, outcome) in enumerate(sorted(outcomes.items())):
        room = most - len(_MORE) - len(text)
        # So that a scan of many hosts does not hide what another one found.
        share = max(room // (len(outcomes) - number), _LEAST)
        said, fits = _section(name, outcome, min(share, room))
        text += said
        is_whole = is_whole and fits
    return text if is_whole else text + _MORE


def _section(name: str, outcome: Outcome, room: int) -> tuple[str, bool]:
    """Of one Discovery, at most `room` characters, and whether that is all of it."""
    run, asked = _code(outcome.scan.run), outcome.scan.addresses
    what = "hosts listed by the inventory that was read" if outcome.scan.listing else "addresses asked"
    what = what if outcome.scan.facts is None else "targets whose facts were gathered"
    text = f"## {_code(name)}\n\n{asked:,} {what} by run {run}; {_counts(outcome)}.\n\n"
    if outcome.trouble is not None:
        text += f"**{outcome.trouble}.**\n\n"
    if len(text) > room:
        return "", False
    is_whole = True
    for verdict in _ORDER:
        table, fits = _table(verdict, outcome.rows, room - len(text))
        text += table
        is_whole = is_whole and fits
    return text, is_whole


def _counts(outcome: Outcome) -> str:
    verdicts: tuple[Verdict, ...] = ("new", "changed", "same", "gone", "ignored")
    return ", ".join(f"{outcome.count(one)} {one}" for one in verdicts)


def _table(verdict: Verdict, rows: Sequence[Row], room: int) -> tuple[str, bool]:
    wanted = [row for row in rows if row.verdict == verdict and (verdict != "same" or row.notes)]
    if not wanted:
        return "", True
    wanted.sort(key=lambda row: not _warns(row))
    text = (
        f"### {_HEADS[verdict]}\n\n{_MEANS[verdict]}\n\n"
        "| Target | address | known by | evidence | notes |\n|---|---|---|---|---|\n"
    )
    room -= len(_left_out(len(wanted)))
    shown = 0
    for row in wanted[:ROWS]:
        said = f"{_row(row)}\n"
        if len(text) + len(said) > room:
            break
        text += said
        shown += 1
    if shown == len(wanted):
        return f"{text}\n", True
    more = _left_out(len(wanted) - shown)
    if shown == 0:
        text = f"### {_HEADS[verdict]}\n"
        return (f"{text}{more}" if len(text) <= room else ""), False
    return f"{text}{more}", False


def _left_out(count: int) -> str:
    return f"\n… and {count:,} more.\n\n"


def _warns(row: Row) -> bool:
    """What a person has to look at. All that is noted of a new host is a warning."""
    return any(row.verdict == "new" or one.startswith(WARNINGS) for one in row.notes)


def _row(row: Row) -> str:
    notes = _lines(row.notes, NOTES)
    cells = (_code(row.target or "—"), _code(row.address), row.by or "—", _evidence(row.host), notes)
    return f"| {' | '.join(cells)} |"


def _evidence(host: SeenHost | None) -> str:
    return "" if host is None else _lines(evidence(host), LINES)


def _lines(texts: Iterable[str], most: int) -> str:
    """In one cell, the first of them."""
    every = list(texts)
    more = [f"… and {len(every) - most:,} more"] if len(every) > most else []
    return "<br>".join([*(_code(one) for one in every[:most]), *more])


def evidence(host: SeenHost) -> Iterable[str]:
    """What a host showed, a line each."""
    if host.listed is not None:
        yield f"listed as {host.listed.name}"
        if host.listed.groups:
            yield f"groups {' '.join(host.listed.groups)}"
    elif host.names or host.mac:
        yield " ".join(filter(None, (host.name, host.mac, host.vendor)))
    for answer in host.answers:
        yield answer.mark
        for key in answer.keys:
            yield fingerprint(key)
        if answer.certificate:
            yield f"certificate of {answer.names[0] if answer.names else 'no name'}" + (
                ", vouched for" if answer.trusted else ", of nobody known"
            )
    for one in host.services[:10]:
        if one.product or one.version:
            yield f"{one.port}: {one.product} {one.version}".strip()


def fingerprint(key: str) -> str:
    """As `ssh-keygen -lf` gives it."""
    kind, _, data = key.partition(" ")
    try:
        digest = hashlib.sha256(base64.b64decode(data, validate=True)).digest()
    except binascii.Error:
        return kind
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _code(text: str) -> str:
    """As it is, whatever it says: no mark-up, no mention and no new cell of a table."""
    said = line(text, _LONGEST).replace("`", "'").replace("|", "\\|")
    return f"`{said}`" if said else ""
