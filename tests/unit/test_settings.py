"""Where an engine's source and state are."""

from pathlib import Path

import pytest

from opsconductor.settings import Source, UsageError, default_state


@pytest.mark.parametrize(
    "text", ["https://git.example.org/ops.git", "ssh://git@example.org/ops", "git@example.org:ops/defs.git"]
)
def test_urls_stay_as_they_are(text: str) -> None:
    assert (Source.parse(text).text, Source.parse(text).path) == (text, None)


def test_a_folder_has_one_state_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "defs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert default_state(Source.parse("defs")) == default_state(Source.parse(str(tmp_path / "defs")))


def test_a_password_in_a_url_is_never_shown() -> None:
    assert Source.parse("https://ops:hunter2@git.example.org/x.git").shown == "https://ops:***@git.example.org/x.git"


def test_an_option_is_not_a_source() -> None:
    with pytest.raises(UsageError, match="looks like an option"):
        Source.parse("--upload-pack=touch")
