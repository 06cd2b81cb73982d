"""The words of a message that a rule sends, and the event that it carries: by the rule's template, else by ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.notifications.markup import Format, markup_for
from engine.notifications.noticewords import words
from runners.rendering import NotRendered, rendered

_MOST = 64 * 1024
"""Bytes of a message's text."""
_MOST_SUBJECT = 1024


@dataclass(frozen=True, slots=True)
class Wording:
    """What is sent, in every attempt."""

    subject: str
    text: str
    format: Format = "text"


async def worded(context: Mapping[str, Any], template: Mapping[str, Any] | None, channel: str) -> Wording:
    """The words for a channel of this type. A template that fails is said in the message: it must arrive all the same.

    Only the template is one: what the context holds fills its holes, and is markup in no format.
    """
    ours = words(context)
    if template is None:
        return Wording(ours.subject, ours.text)
    try:
        subject, text = ours.subject, ours.text
        if template.get("subject"):
            subject = await rendered(template["subject"], context, most=_MOST_SUBJECT)
        form: Format = "text"
        if template.get("body"):
            form = template.get("format") or "text"
            text = await rendered(template["body"], context, escape=markup_for(form, channel), most=_MOST)
    except NotRendered as error:
        return Wording(ours.subject, f"{ours.text}\n\nThe rule's own words could not be made: {error}")
    return Wording(" ".join(subject.split()) or ours.subject, text, form)


def event_of(context: Mapping[str, Any], rule: str, user: str | None = None) -> dict[str, Any]:
    """The CloudEvent of a message, but for its `id`: `type` is the event's name after `opsconductor.`."""
    event = context["event"]
    run = context.get("run") or {}
    data = {**context, "rule": rule, **({"user": user} if user is not None else {})}
    return {
        "type": f"opsconductor.{event['type']}",
        "source": f"/{str(event['kind']).lower()}s/{event['name']}",
        "subject": str(run.get("id") or event["name"]),
        "time": event["time"],
        "data": data,
    }
