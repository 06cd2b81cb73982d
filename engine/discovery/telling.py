"""A proposal in words: the commit's message, and the pull request's title and text. What hosts say stands in code."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from engine.discovery.proposal import Outcome, Row, Verdict
from engine.discovery.seen import SeenHost, line

ROWS = 200
"""Hosts of one table. A pull request's text has its limits at every forge, and a reader has his."""
TITLE = "Discovery "
"""What the message of every proposal begins with."""
_SHOWN: tuple[Verdict, ...] = ("new", "changed", "gone")
_HEADS = {"new": "New hosts", "changed": "Changed hosts", "gone": "Hosts that did not answer"}
_MEANS = {
    "new": "Merging admits them. To keep one out for good, add what it is known by to `spec.ignore` of the Discovery.",
    "changed": "Hosts that are Targets already, with what is different now.",
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
    """Markdown, at most `most` characters."""
    parts = [
        "A scan found what is below, and nobody has looked at it yet. Names, versions, keys and certificates are what "
        "the hosts themselves say: **compare the keys with what you know of the hosts before you merge.** This "
        "request is written anew by every scan; to change what it proposes, merge it, or change the Discovery.\n"
    ]
    for name, outcome in sorted(outcomes.items()):
        run, asked = _code(outcome.scan.run), outcome.scan.addresses
        parts.append(f"## {_code(name)}\n\n{asked:,} addresses asked by run {run}; {_counts(outcome)}.\n")
        parts += [_table(verdict, outcome.rows) for verdict in _SHOWN]
    text = ""
    for part in filter(None, parts):
        if len(text) + len(part) > most - 100:
            return f"{text}\n… there is more than fits here: the DiscoveryReport on the status branch has all of it.\n"
        text += f"{part}\n"
    return text


def _counts(outcome: Outcome) -> str:
    verdicts: tuple[Verdict, ...] = ("new", "changed", "same", "gone", "ignored")
    return ", ".join(f"{outcome.count(one)} {one}" for one in verdicts)


def _table(verdict: Verdict, rows: Sequence[Row]) -> str:
    wanted = [row for row in rows if row.verdict == verdict]
    if not wanted:
        return ""
    lines = [f"### {_HEADS[verdict]}\n\n{_MEANS[verdict]}\n", "| Target | address | known by | evidence | notes |"]
    lines.append("|---|---|---|---|---|")
    lines += [_row(row) for row in wanted[:ROWS]]
    if len(wanted) > ROWS:
        lines.append(f"\n… and {len(wanted) - ROWS:,} more.")
    return "\n".join(lines) + "\n"


def _row(row: Row) -> str:
    notes = "<br>".join(_code(one) for one in row.notes)
    cells = (_code(row.target or "—"), _code(row.address), row.by or "—", _evidence(row.host), notes)
    return f"| {' | '.join(cells)} |"


def _evidence(host: SeenHost | None) -> str:
    return "" if host is None else "<br>".join(_code(one) for one in evidence(host))


def evidence(host: SeenHost) -> Iterable[str]:
    """What a host showed, a line each."""
    if host.names or host.mac:
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
    said = line(text, 300).replace("`", "'").replace("|", "\\|")
    return f"`{said}`" if said else ""
