"""From a Discovery to the plan of a run that scans, or reads an inventory: one step, on a runner of its pool."""

from datetime import timedelta
from typing import Any

from engine.catalog import Catalog
from engine.identity import scan_name
from engine.runs.pinned import PinnedSpec, PlannedStep, Use
from engine.runs.planning import DEFAULT_TIMEOUT, Planned, credentials_of
from engine.runs.refused import PlanRefused, Refusal
from schemas.discovery import Discovery, Inventory
from schemas.job import Concurrency, JobSpec
from schemas.steps.types import StepType, anything

SCAN, READ = "discovery.scan", "discovery.read"
"""The step types of such a run, which no document can name."""
SCAN_TYPE = StepType(
    SCAN,
    inputs={name: anything(f"As `{name}` of a Discovery.") for name in (
        "discovery", "networks", "exclude", "ports", "profile", "osDetection", "serviceDetection",
    )},
    results={name: {"type": "integer"} for name in ("addresses", "hosts")},
    needs="programs",
    description="Scans networks for hosts, and asks what answers who it is.",
)  # fmt: skip
READ_TYPE = StepType(
    READ,
    inputs={
        "discovery": anything("The name of the Discovery."),
        "maxSize": anything("Of what is read."),
        "headers": anything("Of the request."),
        **{name: anything("As in `from` of a Discovery.") for name in (
            "command", "vars", "url", "credentialRef", "credentialHeader", "caCert",
        )},
    },
    results={name: {"type": "integer"} for name in ("hosts", "leftOut")},
    needs="programs",
    credentials=("token", "password", "certificate", "generic"),
    files=frozenset({"caCert"}),
    description="Reads an inventory for a Discovery, and asks its hosts who they are.",
)  # fmt: skip
_LONGEST = "16MiB"
"""Of an inventory, as `engine.discovery.inventory` takes it."""


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
    if spec.from_ is not None and spec.from_.job_ref is not None:
        said = f"it has no runs of its own: what runs of the Job '{spec.from_.job_ref}' gather is proposed; run that"
        return PlanRefused("notAllowed", said)
    if name in catalog.jobs or name in catalog.workflows:
        return PlanRefused("notAllowed", f"its runs are named '{name}', and that is the name of a job; rename the job")
    pool = spec.runs_on.pool or catalog.default_pool
    # Nothing is changed by it, so that it may always be done again.
    step = PlannedStep("scan", "steps", _use(discovery), name="Scan", idempotent=True)
    try:
        credentials = credentials_of(catalog, name, discovery.metadata.labels, pool, (step,))
    except Refusal as refusal:
        return refusal.refused
    pinned = PinnedSpec(
        job=name,
        commit=catalog.commit,
        steps=(step,),
        credentials=credentials,
        sealed=catalog.sealed(credentials),
        labels=dict(discovery.metadata.labels),
        timeout=_timeout(catalog, discovery),
        needs=catalog.needs_of(spec.runs_on),
        networks=catalog.pools[pool].spec.networks if pool in catalog.pools else (),
        discovery=discovery.name,
    )
    return Planned(pinned, {})


def _use(discovery: Discovery) -> Use:
    spec = discovery.spec
    if spec.from_ is not None:
        return Use(READ, {"discovery": discovery.name, "maxSize": _LONGEST, **_source(spec.from_)}, READ_TYPE)
    inputs = {
        "discovery": discovery.name,
        "networks": list(spec.networks),
        "exclude": list(spec.exclude),
        "ports": list(spec.ports),
        "profile": spec.profile,
        "osDetection": spec.os_detection,
        "serviceDetection": spec.service_detection,
    }
    return Use(SCAN, inputs, SCAN_TYPE)


def _source(inventory: Inventory) -> dict[str, Any]:
    asked: dict[str, Any] = {"vars": list(inventory.vars)}
    if inventory.http is None:
        return {**asked, "command": list(inventory.command or ())}
    http = inventory.http
    given = {
        "url": http.url,
        "headers": {"Accept": "application/json"},
        "credentialRef": http.credential_ref,
        "credentialHeader": http.credential_header,
        "caCert": http.ca_cert,
    }
    return {**asked, **{key: value for key, value in given.items() if value is not None}}


def _timeout(catalog: Catalog, discovery: Discovery) -> timedelta:
    return discovery.spec.timeout or catalog.project.spec.defaults.timeout or DEFAULT_TIMEOUT
