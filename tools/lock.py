"""Lock files: `write` resolves them anew (needs a package index), `check` judges them without any network.

requirements.lock      what installing and running the program needs
requirements-dev.lock  that, and what the checks and tests need

Both hold every version with its hashes and no address of any index. The first line holds a digest of what
pyproject.toml asks for, so that a changed wish without a new lock is found offline.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {"requirements.lock": ("build",), "requirements-dev.lock": ("build", "dev")}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)")


def wishes(pyproject: dict[str, object], groups: tuple[str, ...]) -> list[str]:
    """What pyproject.toml asks for, in one order."""
    project, extra = pyproject["project"], pyproject["dependency-groups"]
    assert isinstance(project, dict) and isinstance(extra, dict)
    return sorted([*project["dependencies"], *(wish for group in groups for wish in extra[group])])


def digest(pyproject: dict[str, object], groups: tuple[str, ...]) -> str:
    """A short name of the wishes: the same wishes, the same name."""
    return hashlib.sha256(json.dumps(wishes(pyproject, groups)).encode()).hexdigest()[:16]


def first_line(pyproject: dict[str, object], groups: tuple[str, ...]) -> str:
    return f"# Written by `make lock`. Do not edit. Wishes: {digest(pyproject, groups)}"


def write(pyproject: dict[str, object], upgrade: tuple[str, ...]) -> None:
    """Resolve both files; versions that still fit stay as they are unless `upgrade` says otherwise."""
    for name, groups in GROUPS.items():
        path = ROOT / name
        command = [
            str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml", "--universal",
            "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate",
            "--quiet", "--output-file", name, *upgrade, *(f"--group={group}" for group in groups),
        ]  # fmt: skip
        if name != "requirements.lock":
            command += ["--constraint", "requirements.lock"]
        subprocess.run(command, cwd=ROOT, check=True)
        pins = path.read_text()
        path.write_text(first_line(pyproject, groups) + "\n" + pins)


def problems(name: str, text: str, pyproject: dict[str, object]) -> Iterator[str]:
    """What is wrong with one lock file."""
    groups = GROUPS[name]
    if text.partition("\n")[0] != first_line(pyproject, groups):
        yield "does not belong to the dependencies of pyproject.toml: run `make lock`"
    if "://" in text or re.search(r"^\s*--(index|extra|find|trusted)", text, re.MULTILINE):
        yield "holds an address or an index option"
    entries = re.sub(r"\\\n\s*", " ", text)
    pins: dict[str, list[Version]] = {}
    for line in entries.splitlines():
        if found := _PIN.match(line):
            pins.setdefault(canonicalize_name(found[1]), []).append(Version(found[2]))
            if "--hash=sha256:" not in line:
                yield f"{found[1]} has no hash"
        elif line and not line.startswith("#"):
            yield f"not a pinned version: {line[:60]}"
    for wish in map(Requirement, wishes(pyproject, groups)):
        if not any(
            wish.specifier.contains(pin, prereleases=True) for pin in pins.get(canonicalize_name(wish.name), [])
        ):
            yield f"holds no version that satisfies {wish}"


def check(pyproject: dict[str, object]) -> int:
    """0 when both files are sound and fit pyproject.toml."""
    found = [
        f"{name}: {problem}" for name in GROUPS for problem in problems(name, (ROOT / name).read_text(), pyproject)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def main(words: list[str]) -> int:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    match words:
        case ["write", *upgrade]:
            write(pyproject, tuple(upgrade))
            return check(pyproject)
        case ["check"]:
            return check(pyproject)
        case _:
            print("usage: lock.py write [--upgrade | --upgrade-package NAME] | check", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
