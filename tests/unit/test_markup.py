"""Text that is kept out of a message's markup."""

import pytest

from engine.notifications.markup import Format, Markup, markup_for, unmarked
from runners.rendering import rendered

TEXT = "a <b> & 'c' \"d\" *e* _f_ [g](h) `i` #j | ~k~ !l > \\\\ (m)\n"


@pytest.mark.parametrize("markup", ["html", "markdown"])
async def test_a_step_and_a_template_keep_it_out_alike_to_who_reads_it(markup: Markup) -> None:
    made = await rendered("{{ text }}", {"text": TEXT}, escape=markup)
    assert unmarked(TEXT, markup).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") == made


@pytest.mark.parametrize(
    ("form", "channel", "markup"),
    [
        ("text", "email", None), ("html", "email", "html"), ("html", "slack", "html"),
        ("markdown", "slack", None), ("markdown", "teams", "markdown"),
    ],
)  # fmt: skip
def test_slack_alone_has_no_way_to_write_its_marks_as_text(form: Format, channel: str, markup: Markup | None) -> None:
    assert markup_for(form, channel) == markup
