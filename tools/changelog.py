"""The changelog: `check` judges the fragments in changelog.d/, `release VERSION DATE` moves them into CHANGELOG.md.

A fragment is `changelog.d/<what>.<section>.md` with one to six lines for the user; sections are those of SECTIONS.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {
    "security": "Security", "breaking": "Breaking", "added": "Added", "changed": "Changed", "fixed": "Fixed",
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.(" + "|".join(SECTIONS) + r")\.md")


def problems(name: str, text: str) -> Iterator[str]:
    """What is wrong with one fragment."""
    if not _NAME.fullmatch(name):
        yield f"is not named <what>.<section>.md; sections: {', '.join(SECTIONS)}"
    lines = text.splitlines()
    if not text.strip():
        yield "is empty: say in a sentence what changes for the user"
    elif not text.rstrip().endswith((".", "`")):
        yield "does not end with a full stop"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "does not end with exactly one line break"
    if len(lines) > 6:
        yield "is longer than six lines: the rest belongs in docs/"
    if any(line.startswith(("#", "-", "*", " ")) or not line.strip() for line in lines):
        yield "holds a heading, a list, an indent or an empty line: write plain sentences"


def fragments(folder: Path) -> list[Path]:
    """All fragments, in the order in which they are shown."""
    return sorted(path for path in folder.iterdir() if path.name != "README.md")


def check(root: Path) -> int:
    """0 when every fragment can be released as it stands."""
    found = [
        f"changelog.d/{path.name} {problem}"
        for path in fragments(root / "changelog.d")
        for problem in problems(path.name, path.read_text(encoding="utf-8"))
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def entry(version: str, date: str, notes: dict[str, str]) -> str:
    """The text of one release: sections in order, one item a fragment."""
    parts = [f"## {version} ({date})\n"]
    for section, title in SECTIONS.items():
        items = [text for name, text in sorted(notes.items()) if name.endswith(f".{section}.md")]
        if items:
            parts.append(f"### {title}\n\n" + "".join("- " + "\n  ".join(text.splitlines()) + "\n" for text in items))
    return "\n".join(parts)


def release(root: Path, version: str, date: str) -> int:
    """Write the release above the older ones and remove its fragments."""
    if check(root):
        return 1
    paths = fragments(root / "changelog.d")
    log = root / "CHANGELOG.md"
    head, rest = "# Changelog\n", ""
    if log.exists():
        rest = log.read_text(encoding="utf-8").removeprefix(head)
    new = entry(version, date, {path.name: path.read_text(encoding="utf-8") for path in paths})
    log.write_text(f"{head}\n{new}{rest}", encoding="utf-8")
    for path in paths:
        path.unlink()
    return 0


def main(words: list[str]) -> int:
    match words:
        case ["check"]:
            return check(ROOT)
        case ["release", version, date]:
            return release(ROOT, version, date)
        case _:
            print("usage: changelog.py check | release VERSION DATE", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
