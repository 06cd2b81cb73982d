"""Crontabs: of users, /etc/crontab and /etc/cron.d, as Vixie's cron, cronie and Debian's read them (crontab(5)).

A line is a Job with a Schedule; lines with the same command in the same surroundings are one Job with several. Comments
above a line are its description. Nothing is run, and no variable is expanded: cron expands none either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import available_timezones

from engine.leaks import names_a_secret, shown, stands_for_a_secret
from opsconductor.imports.bounds import check_count
from opsconductor.imports.commands import name_of
from opsconductor.imports.cronmail import mailed
from opsconductor.imports.crontime import MACROS, CarryError, Timing, timing
from opsconductor.imports.drafts import Draft, Place, Reading, Remark, document, has_expression, literal, one_line
from opsconductor.imports.machine import localhost
from opsconductor.imports.naming import Names
from schemas.job import MAX_VARIABLES

_SETTING = re.compile(r"""(?:"([^"]+)"|'([^']+)'|([A-Za-z_][^\s=]*))\s*=""")
_SHELLS = {"sh": "sh", "dash": "sh", "ash": "sh", "bash": "bash"}
_ENTRY = re.compile(
    r"#+\s*(?:@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|(?:[\d*][\d*/,-]*\s+){5})\s*\S"
)
_FLAGS = re.compile(r"(-[nqs]+)[ \t]+(.*)", re.DOTALL)
_LONGEST = "1d"
"""The time limit of each job: cron has none, and an hour is ours."""
_FEW = 3
"""Lines of a comment that are a description; a longer one stays a comment."""
_FIELD = re.compile(r"(?:[\d*][\d*/,-]*|\?|L)\s")
"""What stands where the command should, in the six fields of other schedulers."""
_ESCAPED, _LATER = re.compile(r"\\.|%"), re.compile(r"\\%|%")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the files are to be read. Without `targets` the jobs run on this machine."""

    time_zone: str
    targets: tuple[str, ...] = ()
    system: bool = False
    user: str | None = None
    mail_server: str = "localhost"


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What the settings above a line say. Without a zone nothing is known of when."""

    zone: str | None
    shell: str | None = None
    home: str | None = None
    mail_to: str | None = None
    mail_from: str | None = None
    mail_place: Place | None = None
    delay: int = 0
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    place: Place
    time: Timing | None
    zone: str | None
    job: tuple[Any, ...]
    around: _Surroundings
    above: tuple[str, ...]
    description: str


@dataclass
class _Reader:
    settings: Settings
    remarks: list[Remark] = field(default_factory=list)
    entries: list[_Entry] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    """The comments directly above the next line."""
    env: dict[str, str] = field(default_factory=dict)
    env_of_entries: tuple[tuple[str, str], ...] | None = ()
    """The same as entries have it; None where it changed since."""

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def file(self, name: str, data: bytes) -> None:
        around = _Surroundings(self.settings.time_zone)
        self.comments, self.fresh = [], []
        self.env, self.env_of_entries = {}, ()
        lines = data.split(b"\n")
        for number, raw in enumerate(lines, 1):
            place = Place(name, number)
            try:
                line = raw.decode().rstrip("\r")
            except UnicodeDecodeError:
                self.lose(place, "the line is not UTF-8", "write it again by hand, or save the file as UTF-8")
                continue
            around = self._line(place, line, around)
        self._rest(Place(name, len(lines)))

    def _rest(self, place: Place) -> None:
        """Comments that stand above nothing stay with the last line that is carried."""
        if not self.comments:
            return
        if self.entries and self.entries[-1].place.file == place.file:
            last = self.entries[-1]
            self.entries[-1] = replace(last, above=(*last.above, *self.comments))
        else:
            self.lose(place, "comments, and no line that they could stand above", "keep what you need of them by hand")

    def _line(self, place: Place, line: str, around: _Surroundings) -> _Surroundings:
        said = line.strip(" \t")
        if not said:
            self.fresh = []
        elif said.startswith("#"):
            self._comment(place, said)
        elif (found := _SETTING.match(said)) is not None:
            name = found[1] or found[2] or found[3]
            return self._set(place, name, _unquoted(said[found.end() :].strip()), around)
        else:
            self._entry(place, said, around)
        return around

    def _comment(self, place: Place, said: str) -> None:
        if _ENTRY.match(said):
            self.note(place, f"a line that is commented out: {one_line(said, 80)}", "nothing was made of it")
            self.comments.append(said)
            return
        text = said.lstrip("#").strip()
        self.comments.append(said)
        if any(char.isalnum() for char in text):
            self.fresh.append(text)

    def _set(self, place: Place, name: str, value: str, around: _Surroundings) -> _Surroundings:
        match name:
            case "MAILTO":
                return replace(around, mail_to=value, mail_place=place)
            case "MAILFROM":
                return replace(around, mail_from=value)
            case "CRON_TZ":
                zone = value.removeprefix(":")
                if zone not in available_timezones():
                    self.lose(
                        place,
                        f"CRON_TZ={one_line(value, 60)} is no zone that is known here",
                        "the jobs below it have no Schedule; write them with the zone that is meant",
                    )
                    return replace(around, zone=None)
                return replace(around, zone=zone)
            case "SHELL":
                shell = _SHELLS.get(value.rpartition("/")[2])
                if shell is None:
                    self.lose(
                        place,
                        f"SHELL={one_line(value, 60)}: the jobs below it run in sh",
                        "a script may call the shell itself: put its name before the command",
                    )
                return replace(around, shell=shell or "sh")
            case "HOME":
                return replace(around, home=value)
            case "RANDOM_DELAY":
                if re.fullmatch(r"\d{1,4}", value, re.ASCII) is not None:
                    return replace(around, delay=int(value))
                self.lose(
                    place,
                    f"RANDOM_DELAY={one_line(value, 40)} is no number of minutes up to 9999",
                    "the Schedules below start on time; write 'jitter' into them",
                )
                return replace(around, delay=0)
            case "CONTENT_TYPE" | "CONTENT_TRANSFER_ENCODING" | "START_HOURS_RANGE" | "NO_MAIL_OUTPUT":
                self.lose(
                    place,
                    f"{name} says how cron itself works",
                    "messages have a 'template' in their NotificationRule; times are those of the Schedules",
                )
                return around
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) is None:
            self.lose(
                place,
                f"a variable with the name {one_line(name, 40)!r}",
                "no shell could read it; give it another name",
            )
            return around
        if (names_a_secret(name) and not stands_for_a_secret(value)) or shown(value.encode()).leaks:
            if self.env.pop(name, None) is not None:
                self.env_of_entries = None
            self.lose(
                place,
                f"{name} looks like a secret; the jobs below it are carried without it",
                "make it a Credential, and give it to the Jobs that need it by 'env'",
            )
        elif len(self.env) >= MAX_VARIABLES and name not in self.env:
            self.lose(place, f"{name}: more than {MAX_VARIABLES:,} variables", "the jobs below it are carried without")
        else:
            self.env.pop(name, None)
            self.env[name], self.env_of_entries = value, None
        return around

    def _entry(self, place: Place, said: str, around: _Surroundings) -> None:
        try:
            time, rest = self._time(place, said, around)
            user, command = self._user(rest)
        except CarryError as error:
            self.lose(place, f"{one_line(said, 80)}: {error}", error.hint)
            self.fresh = []
            return
        flags = _FLAGS.fullmatch(command)
        if flags is not None:
            self.note(
                place,
                f"{flags[1]} is an option of the BSDs' cron",
                "a Job never runs twice at once unless it says so, and mail is sent after failures only",
            )
            command = flags[2]
        command, stdin = _divided(command)
        if not command.strip():
            self.lose(place, f"{one_line(said, 80)}: there is no command", "nothing would run")
        elif has_expression(command):
            self.lose(
                place,
                f"{one_line(said, 80)}: it holds ${{{{, which begins an expression here",
                "put the command into a script file, and call that",
            )
        else:
            if self.env_of_entries is None:
                self.env_of_entries = tuple(self.env.items())
            around = replace(around, env=self.env_of_entries)
            job = (user, around.shell, around.home, around.env, command, stdin)
            told = self.fresh if len(self.fresh) <= _FEW else []
            description = " ".join(told)
            kept = tuple(text for text in self.comments if text.lstrip("#").strip() not in told)
            self.entries.append(_Entry(place, time, around.zone, job, around, kept, description))
            self.comments = []
        self.fresh = []

    def _time(self, place: Place, said: str, around: _Surroundings) -> tuple[Timing | None, str]:
        """When, and the rest of the line; None for @reboot."""
        if said.startswith("@"):
            word, _, rest = said.replace("\t", " ").partition(" ")
            rest = said[len(word) :].strip(" \t")
            if word.lower() == "@reboot":
                self.lose(
                    place,
                    f"{one_line(said, 80)}: nothing here starts when a machine does; the Job has no Schedule",
                    "leave the line to cron or to a systemd unit, or ask for the job with 'opsconductor run'",
                )
                return None, rest
            if word.lower() not in MACROS:
                raise CarryError(
                    f"{word} is no name of a time that crontab(5) has", "write five fields, or 'every' in a Schedule"
                )
            words = MACROS[word.lower()].split()
        else:
            *words, rest = [*said.split(None, 5), "", "", "", "", "", ""][:6]
            if _FIELD.match(rest):
                raise CarryError("there are six fields of time", "write five: without seconds, and without a year")
            if not words[4]:
                raise CarryError(
                    "there are fewer than five fields before the command",
                    "write minute, hour, day of month, month, day of week",
                )
        made = timing(words)
        if made.note:
            self.note(place, f"{' '.join(words)}: {made.note}")
        return replace(made, jitter_minutes=made.jitter_minutes + around.delay), rest

    def _user(self, rest: str) -> tuple[str | None, str]:
        if not self.settings.system:
            return self.settings.user, rest
        user, *command = rest.split(None, 1)
        if not command:
            raise CarryError(
                "there is no command after the user's name",
                "call it without --system for a crontab without a user column",
            )
        return user, command[0]


def read(files: Mapping[str, bytes], settings: Settings) -> Reading:
    """Crontabs by what to call them."""
    reader = _Reader(settings)
    for name, data in files.items():
        reader.file(name, data)
    jobs = _jobs(reader.entries)
    names = Names.wanted(name_of(entries[0].job[4]) for entries in jobs)
    check_count(sum(1 + len(entries[0].around.env) for entries in jobs))
    drafts: list[Draft] = []
    asked: dict[tuple[str, str | None], dict[str, Place]] = {}
    for entries in jobs:
        draft = _draft(entries, settings, names)
        drafts.append(draft)
        for one in entries:
            around = one.around
            if around.mail_to and around.mail_place is not None:
                of = asked.setdefault((around.mail_to, around.mail_from), {})
                of.setdefault(draft.documents[0]["metadata"]["name"], around.mail_place)
    channels = Names()
    for (to, sender), of in asked.items():
        for made in mailed(to, sender, of, settings.mail_server, channels):
            if isinstance(made, Draft):
                drafts.append(made)
            else:
                reader.remarks.append(made)
    if drafts and not settings.targets:
        drafts.append(localhost(drafts[0].place))
    return Reading(tuple(drafts), tuple(reader.remarks))


def _jobs(entries: list[_Entry]) -> list[list[_Entry]]:
    """Entries with the same command in the same surroundings belong together."""
    jobs: dict[tuple[Any, ...], list[_Entry]] = {}
    for one in entries:
        jobs.setdefault(one.job, []).append(one)
    return list(jobs.values())


def _draft(entries: list[_Entry], settings: Settings, names: Names) -> Draft:
    first = entries[0]
    user, shell, home, env, command, stdin = first.job
    name = names.unique(name_of(command), *map(str, first.job))
    step: dict[str, Any] = {"run": command}
    if shell == "bash":
        step["shell"] = "bash"
    if stdin is not None:
        step["stdin"] = literal(stdin)
    if home:
        step["workingDir"] = literal(home)
    if user:
        step["become"] = user
    spec = {
        "targets": {"names": list(settings.targets or ("localhost",))},
        "timeout": _LONGEST,
        "env": {key: literal(value) for key, value in env},
        "steps": [step],
    }
    documents = [document("Job", name, spec, description=one_line(first.description, 300))]
    schedules = Names()
    for one in entries:
        if one.time is not None and one.zone is not None:
            documents.append(_schedule(one.time, one.zone, name, schedules))
    above = [line.lstrip("#").removeprefix(" ") for entry in entries for line in entry.above]
    while above and not above[0].strip():
        above.pop(0)
    return Draft(f"{name}.yaml", first.place, tuple(documents), tuple(above))


def _schedule(time: Timing, zone: str, job: str, names: Names) -> dict[str, Any]:
    spec: dict[str, Any] = {"jobRef": job, **dict(time.fields), "timeZone": zone}
    if time.jitter_minutes:
        spec["jitter"] = f"{time.jitter_minutes}m"
    return document("Schedule", names.unique(job, *dict(time.fields).values(), zone), spec)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _divided(command: str) -> tuple[str, str | None]:
    """The command and its standard input: an unescaped % ends the command, and each further one is a line end.

    As cron reads them: in the command a backslash escapes what follows it, also another backslash; in the input only
    the one right before a %.
    """
    said, at = "", 0
    for found in _ESCAPED.finditer(command):
        said += command[at : found.start()]
        at = found.end()
        if found[0] == "%":
            break
        said += "%" if found[0] == "\\%" else found[0]
    else:
        return (said + command[at:]).strip(), None
    stdin = _LATER.sub(lambda one: "\n" if one[0] == "%" else "%", command[at:])
    return said.strip(), stdin if stdin.endswith("\n") else f"{stdin}\n"
