"""Notifications of Rundeck's jobs as channels and rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconductor.imports.drafts import Draft, Place, Remark, document, one_line
from opsconductor.imports.naming import Names

_EVENTS = {
    "onsuccess": ["run.succeeded"],
    "onfailure": ["run.failed", "run.timedOut", "run.unknown"],
    "onstart": ["run.started"],
}
_ADDRESS = re.compile(r"[^@\s<>\"',;]+@[^@\s<>\"',;]+")
_SUBJECT = {
    "${job.name}": "{{ job.name }}",
    "${execution.status}": "{{ run.state }}",
    "${execution.id}": "{{ run.id }}",
}
_URL = re.compile(r"https?://[^\s/-][^\s$]*")
_USER = re.compile(r"[^/?#]*@")


def _host(url: str) -> str:
    """The host of a URL, and its port; who logs in there is nobody's business."""
    return re.split(r"[/?#]", _USER.sub("", url.partition("://")[2], count=1), maxsplit=1)[0]


@dataclass
class Notices:
    """Collects what jobs ask for; equal channels are one."""

    mail_server: str
    remarks: list[Remark] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    channels: dict[tuple[str, ...], tuple[str, Draft]] = field(default_factory=dict)
    rules: list[Draft] = field(default_factory=list)

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def job(self, kind: str, name: str, asked: Mapping[str, Any], place: Place) -> None:
        for when, how in asked.items():
            events = _EVENTS.get(when)
            for one in how if isinstance(how, list) else [how]:
                if events is None or not isinstance(one, dict):
                    what = f"a notification {one_line(str(when), 40)}"
                    self.lose(place, what, "a NotificationRule has 'longerThan' and 'consecutiveFailures'")
                    continue
                self._one(kind, name, when, events, one, place)

    def _one(self, kind: str, name: str, when: str, events: list[str], how: Mapping[str, Any], place: Place) -> None:
        for sort, settings in how.items():
            if sort in ("email", "recipients"):
                mail = settings if isinstance(settings, dict) else {"recipients": settings}
                self._mail(kind, name, when, events, mail, place)
            elif sort in ("urls", "webhook"):
                urls = settings.get("urls") if isinstance(settings, dict) else settings
                self._urls(kind, name, when, events, str(urls or ""), place)
            elif sort not in ("subject", "attachLog", "attachLogInFile", "attachLogInline", "attachType", "format",
                              "httpMethod"):  # fmt: skip
                what = f"{when}: a notification by {one_line(str(sort), 40)}"
                self.lose(place, what, "there are channels for mail, Slack, Teams, webhooks, AMQP and Apprise")

    def _mail(self, kind: str, name: str, when: str, events: list[str], mail: Mapping[str, Any], place: Place) -> None:
        words = [word for word in re.split(r"[,;\s]+", str(mail.get("recipients") or "")) if word]
        addresses = tuple(word for word in words if _ADDRESS.fullmatch(word) and "$" not in word)
        if len(addresses) < len(words) or not addresses:
            what = f"{when}: mail to {one_line(str(mail.get('recipients') or 'nobody'), 80)}"
            self.lose(place, what, "write addresses; what only Rundeck knows is none")
        if not addresses:
            return
        settings = {
            "type": "email", "to": list(addresses), "from": f"rundeck@{self.mail_server}", "server": self.mail_server,
            "port": 25, "security": "none",
        }  # fmt: skip
        self._rule(
            kind, name, when, events, self._channel(("mail", *addresses), addresses[0], settings, place), place, mail
        )
        if str(mail.get("attachLog", "false")).lower() == "true":
            self.lose(place, f"{when}: the log is attached to the mail", "a message has a link to the run")

    def _urls(self, kind: str, name: str, when: str, events: list[str], urls: str, place: Place) -> None:
        for url in [one.strip() for one in urls.split(",") if one.strip()]:
            if _URL.fullmatch(url) is None:
                self.lose(place, f"{when}: no address of the web among urls", "write a NotificationChannel by hand")
                continue
            channel = self._channel(("url", url), _host(url), {"type": "webhook", "url": url}, place)
            # the rest of an address is often a secret
            host = one_line(_host(url), 80)
            what = f"{when}: {host} is sent CloudEvents as JSON, and not what Rundeck sent"
            self.remarks.append(Remark(place, what, "who receives it must read that", lost=False))
            self._rule(kind, name, when, events, channel, place, {})

    def _channel(self, key: tuple[str, ...], called: str, settings: Mapping[str, Any], place: Place) -> str:
        if key not in self.channels:
            name = self.names.unique(f"rundeck-{called}"[:60], *key)
            channel = document("NotificationChannel", name, settings, description="Where Rundeck told of its jobs.")
            self.channels[key] = (name, Draft(f"notifications/{name}.yaml", place, (channel,)))
        return self.channels[key][0]

    def _rule(
        self,
        kind: str,
        name: str,
        when: str,
        events: list[str],
        channel: str,
        place: Place,
        mail: Mapping[str, Any],
    ) -> None:
        rule_name = self.names.unique(f"{name}-{when}", name, when, channel)
        spec: dict[str, Any] = {"events": events, "select": {"kinds": [kind], "names": [name]}, "channels": [channel]}
        if isinstance(subject := mail.get("subject"), str) and subject.strip():
            for token, ours in _SUBJECT.items():
                subject = subject.replace(token, ours)
            if "${" in subject:
                what = f"{when}: the subject {one_line(subject, 80)} holds what only Rundeck knows"
                self.lose(place, what, "write template.subject of the rule")
            else:
                spec["template"] = {"subject": one_line(subject, 200)}
        rule = document("NotificationRule", rule_name, spec)
        self.rules.append(Draft(f"notifications/{rule_name}.yaml", place, (rule,)))

    def drafts(self) -> list[Draft]:
        return [*(draft for _, draft in self.channels.values()), *self.rules]
