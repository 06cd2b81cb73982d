"""No file of the repository may name a package registry's host: where packages come from is the machine's setting."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In parts, so that this file passes its own check.
HOSTS = tuple(
    ".".join(parts).encode()
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"),
        ("deb", "debian", "org"), ("security", "debian", "org"), ("archive", "ubuntu", "com"), ("crates", "io"),
        ("proxy", "golang", "org"), ("rubygems", "org"), ("maven", "org"), ("maven", "apache", "org"),
    )
)  # fmt: skip


def named(data: bytes) -> Iterator[str]:
    """Which registries this content names."""
    low = data.lower()
    return (host.decode() for host in HOSTS if host in low)


def files(root: Path) -> list[Path]:
    """What git holds or would take up: tracked files and new ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    return [root / name.decode() for name in listing.split(b"\0") if name]


def main() -> int:
    found = [
        f"{path.relative_to(ROOT)}: names the registry {host}"
        for path in files(ROOT)
        if path.is_file() and not path.is_symlink()
        for host in named(path.read_bytes())
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
