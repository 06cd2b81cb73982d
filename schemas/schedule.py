"""Kind Schedule: time -> job."""

from datetime import timedelta
from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from schemas import patterns
from schemas.envelope import Document, Identifier, Many, Model, Name
from schemas.quantities import Duration, Instant, Period, Positive
from schemas.rules import chosen, exactly_one, published
from schemas.selector import Selection


class Dst(Model):
    gap: Literal["next", "skip"] = Field(
        default="next", description="A wall time that does not exist: the first instant after, or none."
    )
    fold: Literal["first", "second", "both"] = Field(default="first", description="A wall time that comes twice.")


class CatchUp(Model):
    policy: Literal["none", "latest", "all"] = Field(default="latest", description="Which missed instants still run.")
    window: Duration = Field(
        default=timedelta(hours=1), description="How late an instant may still run.", examples=["1h"]
    )
    max: Positive = Field(default=10, description="How many at most under `all`; the newest stay.", examples=[10])


class Calendars(Model):
    only: Many[Name] = Field(default=(), description="Fire only on days of any of these.", examples=[["workdays"]])
    except_: Many[Name] = Field(
        default=(), alias="except", description="Never on days of these.", examples=[["public-holidays"]]
    )


class Suspension(Model):
    reason: str = Field(default="", description="Why.", examples=["disk is being replaced"])
    until: Instant | None = Field(
        default=None, description="When it ends by itself.", examples=["2026-12-24T00:00:00Z"]
    )


_CLOCKS = ("cron", "rrule", "every", "at")
_STARTED = ("jobRef", "workflowRef", "discoveryRef")


class ScheduleSpec(Model):
    model_config = published(exactly_one(*_CLOCKS), exactly_one(*_STARTED))

    job_ref: Name | None = Field(default=None, description="The job to run.", examples=["rotate-web-logs"])
    workflow_ref: Name | None = Field(default=None, description="The workflow to run.", examples=["release"])
    discovery_ref: Name | None = Field(default=None, description="The discovery to run.", examples=["lab"])
    cron: str | None = Field(
        default=None,
        description="Five fields in local time.",
        examples=["15 2 * * *"],
        json_schema_extra={"pattern": patterns.CRON},
    )
    rrule: str | None = Field(
        default=None,
        description=(
            "RFC 5545 rule in local time, counted from startAt; lines of EXDATE may follow, with days, local times, or "
            "instants in UTC. "
            "UNTIL is inclusive; a day without a time is its midnight, with which it begins."
        ),
        examples=["FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0;BYSECOND=0"],
    )
    every: Period | None = Field(
        default=None, description="Elapsed time from startAt, else from 1970-01-01T00:00Z.", examples=["15m"]
    )
    at: Instant | None = Field(default=None, description="Once.", examples=["2026-12-01T00:00:00Z"])
    time_zone: str | None = Field(
        default=None, description="IANA name; required with cron and rrule.", examples=["Europe/Chisinau"]
    )
    dst: Dst = Field(default_factory=cache(Dst), description="What happens when clocks change.")
    catch_up: CatchUp = Field(default_factory=cache(CatchUp), description="What happens to instants that were missed.")
    start_at: Instant | None = Field(
        default=None, description="First instant considered, inclusive.", examples=["2026-12-01T00:00:00Z"]
    )
    end_at: Instant | None = Field(default=None, description="End, exclusive.", examples=["2027-12-01T00:00:00Z"])
    jitter: Duration = Field(
        default=timedelta(0), description="Spread the start; the same for a schedule and instant.", examples=["30s"]
    )
    calendars: Calendars = Field(default_factory=cache(Calendars), description="Days it fires on.")
    params: dict[Identifier, Any] = Field(
        default_factory=dict, description="The job's params.", examples=[{"keepDays": 30}]
    )
    limit: Selection | None = Field(default=None, description="Narrows the job's targets.")
    priority: int | None = Field(default=None, ge=-1000, le=1000, description="Over the job's.", examples=[10])
    suspend: bool | Suspension = Field(default=False, description="Stop it, for a reason or until an instant.")

    @model_validator(mode="after")
    def _one_clock_and_one_object(self) -> "ScheduleSpec":
        if len(chosen(self, _CLOCKS)) != 1:
            raise ValueError("a schedule has exactly one of cron, rrule, every, at")
        if len(chosen(self, _STARTED)) != 1:
            raise ValueError("a schedule names exactly one of jobRef, workflowRef, discoveryRef")
        return self


class Schedule(Document):
    """When a job runs."""

    kind: Literal["Schedule"] = Field(description="Schedule.")
    spec: ScheduleSpec = Field(description="When, and what.")
