"""MAILTO of crontabs as channels and rules for notifications."""

import re
from collections.abc import Iterator, Mapping

from opsconductor.imports.drafts import Draft, Place, Remark, document, one_line
from opsconductor.imports.naming import Names

_ADDRESS = re.compile(r"[^@\s<>\"',;]+@[^@\s<>\"',;]+")


def mailed(to: str, sender: str | None, of: Mapping[str, Place], server: str, names: Names) -> Iterator[Draft | Remark]:
    """The channel and the rule for one MAILTO, and what is to be said of it.

    `of` has the names of its Jobs, and where each is told of; `server` sends the mail.
    """
    place = next(iter(of.values()))
    words = [word for word in re.split(r"[,;\s]+", to) if word]
    addresses = [word if "@" in word else f"{word}@{server}" for word in words]
    wrong = [one for one in addresses if _ADDRESS.fullmatch(one) is None]
    if wrong or not addresses:
        yield Remark(place, f"MAILTO={one_line(to, 80)}: no address of mail", "write a NotificationRule for these jobs")
        return
    if sender and _ADDRESS.fullmatch(sender) is None:
        what = f"MAILFROM={one_line(sender, 80)} of MAILTO={one_line(to, 80)}: no address of mail"
        yield Remark(place, what, "write 'from' of the channel")
        sender = None
    sender = sender or f"cron@{server}"
    name = names.unique(f"cron-mail-{addresses[0].removesuffix('@localhost')}", to, sender)
    channel = document(
        "NotificationChannel",
        name,
        {
            "type": "email",
            "to": addresses,
            "from": sender,
            "server": server,
            "port": 25,
            "security": "none",
        },
        description="Where MAILTO had the output of cron go.",
    )
    rule = document(
        "NotificationRule",
        name,
        {
            "events": ["run.failed", "run.timedOut", "run.unknown", "run.recovered"],
            "select": {"kinds": ["Job"], "names": sorted(of)},
            "channels": [name],
        },
    )
    yield Remark(
        place,
        f"MAILTO={one_line(to, 80)}: cron mails whatever a command prints; "
        f"NotificationRule {name} tells failures and recoveries",
        "add run.succeeded to its events for more; the channel's server, port and security are to be looked at",
        lost=False,
    )
    yield Draft(f"mail/{name}.yaml", place, (channel, rule))
