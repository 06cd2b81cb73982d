"""From a Discovery to the plan of a run that scans: one step, on a runner of its pool."""

from datetime import timedelta

from engine.catalog import Catalog
from engine.identity import scan_name
from engine.pinned import PinnedSpec, PlannedStep, Use
from engine.planning import DEFAULT_TIMEOUT, Planned
from engine.refused import PlanRefused
from schemas.discovery import Discovery
from schemas.job import Concurrency, JobSpec
from schemas.steps.types import StepType, anything

SCAN = "discovery.scan"
"""The step type of such a run, which no document can name."""
SCAN_TYPE = StepType(
    SCAN,
    inputs={name: anything(f"As `{name}` of a Discovery.") for name in (
        "discovery", "networks", "exclude", "ports", "profile", "osDetection", "serviceDetection",
    )},
    results={name: {"type": "integer"} for name in ("addresses", "hosts")},
    needs="programs",
    description="Scans networks for hosts, and asks what answers who it is.",
)  # fmt: skip


def as_job(catalog: Catalog, discovery: Discovery) -> JobSpec:
    """What is said of its runs as jobs say it: where they run, and that one does not begin beside another."""
    return JobSpec.model_construct(
        steps=(),
        runs_on=discovery.spec.runs_on,
        concurrency=Concurrency.model_construct(group=scan_name(discovery.name)),
        timeout=_timeout(catalog, discovery),
    )


def plan_scan(catalog: Catalog, discovery: Discovery) -> Planned | PlanRefused:
    """The plan of a run of it."""
    name, spec = scan_name(discovery.name), discovery.spec
    if name in catalog.jobs or name in catalog.workflows:
        return PlanRefused("notAllowed", f"its runs are named '{name}', and that is the name of a job; rename the job")
    pool = spec.runs_on.pool or catalog.default_pool
    inputs = {
        "discovery": discovery.name,
        "networks": list(spec.networks),
        "exclude": list(spec.exclude),
        "ports": list(spec.ports),
        "profile": spec.profile,
        "osDetection": spec.os_detection,
        "serviceDetection": spec.service_detection,
    }
    # A scan changes nothing, so that it may always be done again.
    step = PlannedStep("scan", "steps", Use(SCAN, inputs, SCAN_TYPE), name="Scan", idempotent=True)
    pinned = PinnedSpec(
        job=name,
        commit=catalog.commit,
        steps=(step,),
        labels=dict(discovery.metadata.labels),
        timeout=_timeout(catalog, discovery),
        networks=catalog.pools[pool].spec.networks if pool in catalog.pools else (),
        discovery=discovery.name,
    )
    return Planned(pinned, {})


def _timeout(catalog: Catalog, discovery: Discovery) -> timedelta:
    return discovery.spec.timeout or catalog.project.spec.defaults.timeout or DEFAULT_TIMEOUT
