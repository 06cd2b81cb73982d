"""In which concurrency group a run is: what shares one shares its places."""

from schemas.job import Job
from schemas.workflow import WorkflowSpec


def group_of_job(job: Job) -> str:
    """That of a job's runs."""
    return job.spec.concurrency.group or job.name


def group_of(name: str, spec: WorkflowSpec) -> str:
    """That of a workflow's runs: by default one that no job has unless it names it."""
    return spec.concurrency.group or f"workflow/{name}"
