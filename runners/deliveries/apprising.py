"""The process that delivers one message by Apprise. Run as a program; imports nothing of this product.

Reads JSON on standard input and writes JSON on standard output: `delivered`, or `never` with why. It ends itself where
nobody else does.
"""

import json
import logging
import resource
import signal
import sys

MEMORY = 1024 * 1024 * 1024
HERE = frozenset({"blink1", "dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog"})
"""What Apprise would do on this host itself."""


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the library prints is no answer
    asked = json.load(sys.stdin)
    signal.alarm(int(asked["seconds"]) + 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(_notified(asked), answers)


def _notified(asked: dict[str, str]) -> dict[str, object]:
    import apprise

    # It logs what it sends, its URLs included.
    logging.getLogger("apprise").disabled = True
    made = apprise.Apprise()
    if not made.add(asked["url"]):
        return {"never": "Apprise does not know this kind of URL"}
    # What it made is judged, not the text: it has ways of its own to read that.
    if len(made) != 1:
        return {"never": f"this is {len(made)} URLs; write a channel for each"}
    if here := sorted(HERE & set(made[0].schemas())):  # type: ignore[no-untyped-call]  # the library's
        return {"never": f"'{here[0]}://' does something on the runner's own host, and is refused"}
    kinds = {"text": apprise.NotifyFormat.TEXT, "html": apprise.NotifyFormat.HTML}
    body_format = kinds.get(asked["format"], apprise.NotifyFormat.MARKDOWN)
    return {"delivered": bool(made.notify(body=asked["body"], title=asked["title"], body_format=body_format))}


if __name__ == "__main__":
    main()
