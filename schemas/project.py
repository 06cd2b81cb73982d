"""Kind Project: settings of the repository."""

from datetime import timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.envelope import Document, Many, Model, Name
from schemas.paths import Branch, BranchRef, Certificate, Glob, HttpUrl
from schemas.quantities import Period, Positive, Share

DEFAULT_INCLUDE = ("definitions/**/*.yaml",)
DEFAULT_STATUS_REF = "refs/heads/opsconductor/status"
DEFAULT_REQUESTS_REF = "refs/heads/opsconductor/requests"
_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"


class Retention(Model):
    runs: Positive = Field(
        default=200, description="How many finished runs of a job stay on the status branch.", examples=[200]
    )
    days: Positive = Field(default=90, description="How long a finished run stays, in days.", examples=[90])
    failed_days: Positive = Field(
        default=180, description="How long a run that did not succeed stays, in days.", examples=[180]
    )


class StatusSettings(Model):
    ref: BranchRef = Field(
        default=DEFAULT_STATUS_REF,
        description="Where status goes.",
        examples=["refs/heads/opsconductor/status"],
    )
    retention: Retention = Field(
        default_factory=cache(Retention), description="How long results stay on the status branch."
    )


class RequestsSettings(Model):
    ref: BranchRef = Field(
        default=DEFAULT_REQUESTS_REF,
        description="Where acts are read from.",
        examples=["refs/heads/opsconductor/requests"],
    )


class Prune(Model):
    max_deletes: Share = Field(
        default="20%",
        description="A commit that removes more of a kind than max(5, this) is rejected.",
        examples=["20%", 3],
    )
    protect: Many[str] = Field(
        default=(), description="Documents as Kind/name that no commit may remove.", examples=[["Job/backup"]]
    )


class Verify(Model):
    mode: Literal["none", "head", "range"] = Field(default="none", description="Which commits must be signed.")


class Defaults(Model):
    time_zone: str | None = Field(
        default=None, description="Time zone for schedules that name none.", examples=["Europe/Chisinau"]
    )
    timeout: Period | None = Field(default=None, description="Timeout for jobs that name none.", examples=["1h"])
    pool: Name | None = Field(default=None, description="Pool for jobs that name none.", examples=["default"])


class CommitStatus(Model):
    provider: Literal["github", "gitlab", "gitea"] = Field(description="Whose API is called; Forgejo has Gitea's.")
    credential_ref: Name = Field(description="The token to call it with.", examples=["forge-token"])
    pool: Name | None = Field(default=None, description="Whose runners call it.", examples=["default"])
    url: HttpUrl | None = Field(
        default=None,
        description="The API's address; by default that of the host where the source lies.",
        examples=["https://git.example.org/api/v1"],
    )
    repository: Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}(/{_SEGMENT})+$", max_length=255)] | None = (
        Field(
            default=None,
            description="Owner and name, at GitLab the whole path of the project; by default the source's.",
            examples=["ops/fleet"],
        )
    )
    context: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$", max_length=100)] = Field(
        default="opsconductor",
        description="What the status is called there. Two engines that watch one repository need two.",
        examples=["opsconductor"],
    )
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )


class ProjectSpec(Model):
    include: Many[Glob] = Field(
        default=DEFAULT_INCLUDE,
        description="Globs of the files that hold documents.",
        examples=[["definitions/**/*.yaml"]],
    )
    branch: Branch | None = Field(
        default=None,
        description="The definitions branch, for readers; the server's --branch decides.",
        examples=["main"],
    )
    interval: Period = Field(
        default=timedelta(seconds=30), description="How often a remote source is asked for news.", examples=["30s"]
    )
    status: StatusSettings = Field(
        default_factory=cache(StatusSettings), description="The status branch and its retention."
    )
    requests: RequestsSettings = Field(default_factory=cache(RequestsSettings), description="The branch of acts.")
    prune: Prune = Field(default_factory=cache(Prune), description="A guard against removing too much at once.")
    verify: Verify = Field(default_factory=cache(Verify), description="Which commits must be signed.")
    suspend: bool = Field(default=False, description="Stop all schedules. Requests still run.")
    defaults: Defaults = Field(default_factory=cache(Defaults), description="Values for documents that leave them out.")
    commit_status: CommitStatus | None = Field(default=None, description="Report each commit's verdict to a forge.")


class Project(Document):
    """Settings of the repository: one `opsconductor.yaml` at its root."""

    kind: Literal["Project"] = Field(description="Project.")
    spec: ProjectSpec = Field(default_factory=cache(ProjectSpec), description="The settings.")
