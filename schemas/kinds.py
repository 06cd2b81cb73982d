"""The kinds: which model reads which `kind`, and which kinds this version checks but does not act on yet."""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.act import Approval, RunRequest
from schemas.calendar import Calendar, Window
from schemas.credential import Credential
from schemas.discovery import Discovery
from schemas.envelope import Document
from schemas.job import Job
from schemas.library import LibraryStep, StepLibrary
from schemas.notification import NotificationChannel, NotificationRule
from schemas.policy import Policy, User
from schemas.pool import RunnerPool
from schemas.project import Project
from schemas.schedule import Schedule
from schemas.target import Target, TargetGroup
from schemas.trigger import Trigger
from schemas.workflow import Workflow

MODELS: Mapping[str, type[Document]] = MappingProxyType(
    {
        "Project": Project,
        "Job": Job,
        "Workflow": Workflow,
        "Schedule": Schedule,
        "Trigger": Trigger,
        "RunRequest": RunRequest,
        "Approval": Approval,
        "Target": Target,
        "TargetGroup": TargetGroup,
        "Credential": Credential,
        "Discovery": Discovery,
        "NotificationChannel": NotificationChannel,
        "NotificationRule": NotificationRule,
        "Calendar": Calendar,
        "Window": Window,
        "RunnerPool": RunnerPool,
        "Policy": Policy,
        "User": User,
        "StepLibrary": StepLibrary,
        "Step": LibraryStep,
    }
)
NOT_ACTED_ON: Mapping[str, str] = MappingProxyType({})
"""Kinds that this version reads and checks, and what it means that it does no more."""
STATUS_KINDS = frozenset(
    {
        "Run", "JobStatus", "WorkflowStatus", "ScheduleStatus", "TargetStatus", "RequestStatus", "TriggerStatus",
        "ChannelStatus", "SyncStatus", "Gate", "Decision", "DiscoveryReport",
    }
)  # fmt: skip
"""Kinds that only the engine writes, to the status branch."""
ACTS = frozenset({"RunRequest", "Approval"})
"""Kinds judged one by one, never part of the definitions."""
