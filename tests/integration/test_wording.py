"""The words of a rule's message: only its template is one, and what fills it is markup in no format."""

from typing import Any

import pytest

from runners.wording import event_of, worded

EVENT = {"id": "n", "type": "run.failed", "time": "2026-11-21T00:15:00Z", "kind": "Job", "name": "backup", "data": {}}
CONTEXT: dict[str, Any] = {
    "event": EVENT,
    "run": {"id": "backup-1", "why": "<b>*{{ 7 * 7 }}*</b> [x](http://e)", "failed": 0, "targets": 1, "seconds": None},
    "job": None,
    "targets": [],
    "links": {},
}


@pytest.mark.parametrize(
    ("form", "channel", "text"),
    [
        ("text", "email", "Why: <b>*{{ 7 * 7 }}*</b> [x](http://e)"),
        ("html", "email", "Why: &lt;b&gt;*{{ 7 * 7 }}*&lt;/b&gt; [x](http://e)"),
        ("markdown", "teams", "Why: \\<b\\>\\*{{ 7 \\* 7 }}\\*\\</b\\> \\[x\\]\\(http://e\\)"),
        ("markdown", "slack", "Why: <b>*{{ 7 * 7 }}*</b> [x](http://e)"),
    ],
)
async def test_what_fills_a_template_is_no_template_and_no_markup(form: str, channel: str, text: str) -> None:
    made = await worded(CONTEXT, {"body": "Why: {{ run.why }}", "format": form}, channel)
    assert (made.text, made.format) == (text, form)
    assert made.subject == "backup FAILED"


@pytest.mark.parametrize(
    "body",
    [
        "{{ run.why | safe }}",
        "{% set it %}{{ run.why }}{% endset %}{{ it }}",
        "{{ (run.why | e).unescape() }}",
        "{{ run.why | e | replace('&lt;', '<') }}",
        "{{ ('%s' | safe) % run.why }}",
        "{% filter safe %}{{ run.why }}{% endfilter %}",
        "{% autoescape false %}{{ run.why }}{% endautoescape %}",
    ],
)
async def test_no_template_makes_markup_of_what_fills_it(body: str) -> None:
    """What a job printed is no link in a mail, however the template's author asks for it."""
    made = await worded(CONTEXT, {"body": body, "format": "html"}, "email")
    if "autoescape" in body:
        assert made.format == "text" and made.text.endswith(
            "it switches 'autoescape': what fills it is markup in no case"
        )
    else:
        assert "<b>" not in made.text and "b&" in made.text


async def test_a_subject_is_one_line() -> None:
    made = await worded(CONTEXT, {"subject": "a\n{{ event.name }}", "format": "html"}, "email")
    assert (made.subject, made.format) == ("a backup", "text")


async def test_a_template_that_wants_too_much_is_stopped_and_the_message_goes_out() -> None:
    made = await worded(CONTEXT, {"body": "{% for n in range(99999) %}xxxxxxxxxx{% endfor %}"}, "email")
    assert made.subject == "backup FAILED"
    assert made.text.endswith("The rule's own words could not be made: it gives more than 65536 bytes")


async def test_without_a_template_the_words_are_ours() -> None:
    assert (await worded({**CONTEXT, "run": None}, None, "email")).subject == "backup FAILED"


def test_the_event_names_its_type_and_its_object() -> None:
    made = event_of(CONTEXT, "failures", "ana")
    assert (made["type"], made["source"], made["subject"]) == ("opsconductor.run.failed", "/jobs/backup", "backup-1")
    assert (made["data"]["rule"], made["data"]["user"]) == ("failures", "ana")
