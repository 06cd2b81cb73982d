"""The kinds: which model reads which `kind`, and which kinds this version does not act on yet."""

from schemas.act import RunRequest
from schemas.credential import Credential
from schemas.envelope import Document
from schemas.job import Job
from schemas.pool import RunnerPool
from schemas.project import Project
from schemas.schedule import Schedule
from schemas.target import Target, TargetGroup

MODELS: dict[str, type[Document]] = {
    model.__name__: model for model in (Project, Job, Schedule, RunRequest, Target, TargetGroup, Credential, RunnerPool)
}
PLANNED = frozenset(
    {
        "Workflow", "Trigger", "Approval", "Discovery", "StepLibrary", "NotificationChannel", "NotificationRule",
        "Calendar", "Window", "Policy", "User",
    }
)  # fmt: skip
"""Kinds of the language that this version refuses with "not supported yet"."""
STATUS_KINDS = frozenset(
    {
        "Run", "JobStatus", "WorkflowStatus", "ScheduleStatus", "TargetStatus", "RequestStatus", "SyncStatus", "Gate",
        "Decision", "DiscoveryReport",
    }
)  # fmt: skip
"""Kinds that only the engine writes, to the status branch."""
ACTS = frozenset({"RunRequest", "Approval"})
"""Kinds judged one by one, never part of the definitions."""
