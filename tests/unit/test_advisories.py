"""No version with a known fault is locked, and none is asked for: tests/cases/advisories.toml says what is known."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
ADVISORIES: dict[str, dict[str, list[str]]] = tomllib.loads((ROOT / "tests/cases/advisories.toml").read_text())
KNOWN = [
    pytest.param(name, Version(first), id=f"{name}-{advisory}")
    for name, advisories in ADVISORIES.items()
    for advisory, (first, _) in advisories.items()
]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def _locked() -> Iterator[tuple[str, str, Version]]:
    for lock in LOCKS:
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / lock).read_text(), re.MULTILINE):
            yield lock, canonicalize_name(name), Version(version)


def _wishes() -> Iterator[Requirement]:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = asked["project"]["optional-dependencies"].values()
    for group in (asked["project"]["dependencies"], *extras, *asked["dependency-groups"].values()):
        yield from map(Requirement, group)


@pytest.mark.parametrize(("name", "first"), KNOWN)
def test_no_version_with_a_known_fault_is_locked(name: str, first: Version) -> None:
    assert [(lock, str(version)) for lock, found, version in _locked() if found == name and version < first] == []


@pytest.mark.parametrize(("name", "first"), KNOWN)
def test_no_version_with_a_known_fault_is_asked_for(name: str, first: Version) -> None:
    """Who installs without the lock file gets none either, of what we ask for ourselves."""
    for wish in _wishes():
        if canonicalize_name(wish.name) == name:
            floors = [Version(one.version) for one in wish.specifier if one.operator in (">=", "==", "~=")]
            assert floors, f"{wish} has no lower bound"
            assert max(floors) >= first, wish


def test_what_is_known_is_about_what_we_use() -> None:
    used = {name for _, name, _ in _locked()}
    assert set(ADVISORIES) - used == set()
    odd = [
        one for advisories in ADVISORIES.values() for one in advisories if not re.fullmatch(r"CVE-\d{4}-\d{4,}", one)
    ]
    assert odd == []


def test_everything_that_is_asked_for_has_a_lower_bound() -> None:
    """So that an advisory of tomorrow has something to raise."""
    assert [str(wish) for wish in _wishes() if not any(one.operator in (">=", "==") for one in wish.specifier)] == []
