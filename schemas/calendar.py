"""Kinds Calendar and Window: named days; intervals in which runs may or may not start."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from schemas import patterns
from schemas.envelope import Document, Many, Model, Name
from schemas.paths import PATH_SCHEMA, RepositoryPath
from schemas.quantities import Instant, Period
from schemas.rules import any_of, none_of, published
from schemas.selector import Selection, Selector


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("not a day; write it as in 2026-12-24") from None
    return text


Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_day),
    WithJsonSchema({"type": "string", "pattern": patterns.DAY}),
]


class Holidays(Model):
    """Public holidays of a country, as the `holidays` project lists them."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = Field(
        description="ISO 3166-1 code of two letters.", examples=["MD"]
    )
    subdivision: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,3}$")] | None = Field(
        default=None, description="ISO 3166-2 code within the country.", examples=["BY"]
    )


def _not_yaml(text: str) -> str:
    if text.lower().endswith((".yaml", ".yml", ".json")):
        raise ValueError("not an iCalendar file; days in YAML are written as 'dates' or 'rrules'")
    return text


CalendarFile = Annotated[
    RepositoryPath,
    AfterValidator(_not_yaml),
    WithJsonSchema({**PATH_SCHEMA, "not": {"pattern": r"\.([yY][aA]?[mM][lL]|[jJ][sS][oO][nN])$"}}),
]
_DAYS = ("dates", "rrules", "holidays", "ics")


class CalendarSpec(Model):
    model_config = published(any_of(*_DAYS))

    dates: Many[Day] = Field(default=(), description="Single days.", examples=[["2026-12-24", "2026-12-31"]])
    rrules: Many[str] = Field(
        default=(), description="RFC 5545 rules of whole days.", examples=[["FREQ=MONTHLY;BYDAY=-1FR"]]
    )
    holidays: Holidays | None = Field(default=None, description="Public holidays.")
    ics: CalendarFile | None = Field(
        default=None,
        description="An iCalendar file, by its path from the repository's root; the days of its events.",
        examples=["calendars/freeze.ics"],
    )

    @model_validator(mode="after")
    def _has_days(self) -> "CalendarSpec":
        if not (self.dates or self.rrules or self.holidays or self.ics):
            raise ValueError("a calendar needs at least one of dates, rrules, holidays, ics")
        return self


class Calendar(Document):
    """Named days."""

    kind: Literal["Calendar"] = Field(description="Calendar.")
    spec: CalendarSpec = Field(description="The days; together they are one set.")


class JobSelection(Model):
    """Jobs by label or by name: the union of both."""

    selector: Selector | None = Field(default=None, description="Jobs whose labels match.")
    names: Many[Name] = Field(default=(), description="Jobs by name.", examples=[["deploy-web"]])


class WindowSpec(Model):
    model_config = published(
        {
            "oneOf": [
                {"required": ["cron", "duration"], **none_of("from", "until")},
                {"required": ["from", "until"], **none_of("cron", "duration")},
            ]
        }
    )

    effect: Literal["allow", "deny"] = Field(description="Whether runs may start only inside, or not inside.")
    cron: str | None = Field(
        default=None,
        max_length=256,
        description="When it starts, in local time.",
        examples=["0 22 * * 5"],
        json_schema_extra={"pattern": patterns.CRON},
    )
    duration: Period | None = Field(default=None, description="How long it lasts, in elapsed time.", examples=["8h"])
    from_: Instant | None = Field(
        default=None,
        alias="from",
        description="Start of a single window, inclusive.",
        examples=["2026-12-24T18:00:00Z"],
    )
    until: Instant | None = Field(
        default=None, description="End of a single window, exclusive.", examples=["2026-12-27T06:00:00Z"]
    )
    time_zone: str | None = Field(
        default=None, max_length=64, description="IANA name; required with cron.", examples=["Europe/Chisinau"]
    )
    jobs: JobSelection | None = Field(default=None, description="The jobs it concerns; all where left out.")
    targets: Selection | None = Field(default=None, description="The targets it concerns; all where left out.")
    requests: Literal["allow", "deny"] = Field(
        default="allow", description="Whether runs that people ask for may start all the same."
    )
    running: Literal["finish", "cancel"] = Field(
        default="finish", description="What becomes of runs that are under way when starting is no longer allowed."
    )
    blocked: Literal["skip", "defer"] = Field(
        default="skip", description="What becomes of runs that may not start: defer starts them when the window ends."
    )

    @model_validator(mode="after")
    def _one_form(self) -> "WindowSpec":
        repeated, single = (self.cron, self.duration), (self.from_, self.until)
        if None not in repeated and single == (None, None):
            return self
        if self.from_ is not None and self.until is not None and repeated == (None, None):
            if self.until <= self.from_:
                raise ValueError("'until' must be later than 'from'")
            return self
        raise ValueError("a window has either cron and duration, or from and until")


class Window(Document):
    """An interval in which runs may start, or may not."""

    kind: Literal["Window"] = Field(description="Window.")
    spec: WindowSpec = Field(description="When, for what, and what then.")
