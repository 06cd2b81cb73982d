"""The scripts of `make check` find what they are for."""

from pathlib import Path

import pytest

from tools import changelog, hosts, lock

PYPROJECT: dict[str, object] = {
    "project": {"dependencies": ["attrs>=25"]},
    "dependency-groups": {"build": ["hatchling>=1"], "dev": []},
}
GROUPS = lock.GROUPS["requirements.lock"]
SOUND = (
    f"{lock.first_line(PYPROJECT, GROUPS)}\n"
    "attrs==25.1.0 \\\n    --hash=sha256:aa\n"
    "hatchling==1.27.0 ; python_version < '4' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
)


def judged(text: str) -> list[str]:
    return list(lock.problems("requirements.lock", text, PYPROJECT))


def test_a_lock_that_fits_is_sound() -> None:
    assert judged(SOUND) == []


def test_a_lock_made_for_other_wishes_is_stale() -> None:
    [problem] = judged(SOUND.replace(lock.digest(PYPROJECT, GROUPS), "0" * 16))
    assert "make lock" in problem


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("attrs==25.1.0 \\\n    --hash=sha256:aa", "attrs==25.1.0"), "no hash"),
        (("attrs==25.1.0", "attrs==24.0.0"), "satisfies attrs>=25"),
        (("attrs==25.1.0", "attrs>=25.1.0"), "not a pinned version"),
        (("hatchling==", "--index-url https://example.net\nhatchling=="), "address"),
    ],
)
def test_a_lock_that_would_install_something_else_is_refused(change: tuple[str, str], complaint: str) -> None:
    assert any(complaint in problem for problem in judged(SOUND.replace(*change)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no-section.md", "Something changes.\n"),
        ("cancel.improved.md", "Something changes.\n"),
        ("Cancel.fixed.md", "Something changes.\n"),
        ("cancel.fixed.md", ""),
        ("cancel.fixed.md", "No full stop\n"),
        ("cancel.fixed.md", "No line break at its end."),
        ("cancel.fixed.md", "# A heading\n"),
        ("cancel.fixed.md", "- A list.\n"),
        ("cancel.fixed.md", "Long.\n" * 7),
    ],
)
def test_a_malformed_fragment_is_found(name: str, text: str) -> None:
    assert list(changelog.problems(name, text))


def test_a_release_takes_all_fragments_and_keeps_older_releases(tmp_path: Path) -> None:
    folder = tmp_path / "changelog.d"
    folder.mkdir()
    (folder / "README.md").write_text("How to.\n")
    (folder / "one.fixed.md").write_text("It is mended,\nat last.\n")
    assert changelog.release(tmp_path, "0.1.0", "2026-11-21") == 0
    (folder / "two.added.md").write_text("It is new.\n")
    assert changelog.release(tmp_path, "0.2.0", "2026-12-01") == 0

    assert (tmp_path / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## 0.2.0 (2026-12-01)\n\n### Added\n\n- It is new.\n\n"
        "## 0.1.0 (2026-11-21)\n\n### Fixed\n\n- It is mended,\n  at last.\n"
    )
    assert [path.name for path in folder.iterdir()] == ["README.md"]


def test_a_registry_is_found_wherever_its_host_stands() -> None:
    host = hosts.HOSTS[0].decode()
    assert list(hosts.named(f"see HTTPS://{host.upper()}/simple".encode())) == [host]
    assert list(hosts.named(b"a mirror of your own")) == []
