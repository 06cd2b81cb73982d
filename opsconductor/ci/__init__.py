"""CI files for a definitions repository: each validates every change and shows what a merge would do."""

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from opsconductor import __version__
from opsconductor.exits import UsageError

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "github": ".github/workflows/opsconductor.yaml",
        "gitlab": ".gitlab-ci.yml",
        "gitea": ".gitea/workflows/opsconductor.yaml",
        "forgejo": ".forgejo/workflows/opsconductor.yaml",
        "woodpecker": ".woodpecker/opsconductor.yaml",
    }
)
"""Where each provider looks for its file."""


def file_for(provider: str, package: str | None = None) -> tuple[str, str]:
    """The path and the text of a provider's file, which installs `package`, by default this very version.

    KeyError for an unknown provider; UsageError for what is no requirement of pip.
    """
    path = PROVIDERS[provider]
    text = (files("opsconductor.ci") / f"{provider}.yaml").read_text(encoding="utf-8")
    return path, text.replace("@PACKAGE@", json.dumps(checked(package) if package is not None else this_version()))


def checked(package: str) -> str:
    """A requirement that stays one word of a shell and one value of a CI file. Raises UsageError."""
    if (
        not package
        or not package.isprintable()
        or "$" in package
        or package.startswith("-")
        or package != package.strip()
    ):
        raise UsageError(
            f"--package {package!r}: give pip one requirement: opsconductor=={__version__}, "
            "'opsconductor @ git+https://HOST/PATH@TAG', or a wheel's path from the new repository's root"
        )
    return package


def this_version() -> str:
    """What installs this very version elsewhere: from the place it was installed from, where others can reach it."""
    try:
        recorded = json.loads(distribution("opsconductor").read_text("direct_url.json") or "null")
    except (PackageNotFoundError, ValueError):
        recorded = None
    return requirement_of(recorded) or f"opsconductor=={__version__}"


def requirement_of(direct_url: Mapping[str, Any] | None) -> str | None:
    """The requirement behind an installation's direct_url.json (PEP 610); None where it is on that machine only.

    A name or a password in the address is left out: the file is for everybody's eyes.
    """
    url = urlsplit(str((direct_url or {}).get("url", "")))
    if direct_url is None or url.scheme not in ("https", "ssh"):
        return None
    user = "git@" if url.scheme == "ssh" and url.username == "git" else ""
    address = url._replace(netloc=user + url.netloc.rpartition("@")[2]).geturl()
    folder = direct_url.get("subdirectory")
    fragment = f"#subdirectory={folder}" if folder else ""
    match direct_url:
        case {"vcs_info": {"vcs": "git", "commit_id": str(commit)}}:
            return f"opsconductor @ git+{address}@{commit}{fragment}"
        case {"archive_info": _}:
            return f"opsconductor @ {address}{fragment}"
        case _:
            return None
