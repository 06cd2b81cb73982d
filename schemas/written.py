"""What all files of the status branch have in common (CONTRACT 4).

Keys may be added to these files by a later version and none is dropped, so their published schemas leave keys that they
do not know open.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from schemas.envelope import Model

RunState = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled", "timedOut", "unknown"]
StepState = Literal["running", "succeeded", "failed", "timedOut", "cancelled", "unreachable", "skipped", "unknown"]
NodeState = Literal[
    "pending", "running", "waiting", "succeeded", "failed", "timedOut", "cancelled", "skipped", "unknown"
]  # fmt: skip
SkipReason = Literal[
    "overlap", "window", "calendar", "suspended", "missed", "catchUpMax", "noTargets", "storeLost"
]  # fmt: skip
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

RUN = "rotate-web-logs-20261121T001500Z-9f31c2a07b"
COMMIT = "1f0c3a9b5d7e2468ace013579bdf02468ace1357"
SHA256 = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AT = "2026-11-21T00:15:00Z"


def opened(published: dict[str, Any]) -> None:
    """Whoever reads a file of a later version finds keys that this one did not have."""
    published.pop("additionalProperties", None)


class Written(Model):
    model_config = ConfigDict(json_schema_extra=opened)


class StatusMetadata(Written):
    """Whom the file is about."""

    name: str = Field(description="The object's name; of a Run its id, of a Gate its digest.", examples=[RUN])


class StatusDocument(Written):
    """The envelope of a file of the status branch."""

    api_version: Literal["opsconductor/v1"] = Field(description="Always opsconductor/v1.")
    kind: str = Field(description="Which kind of file this is.")
    metadata: StatusMetadata = Field(description="Whom the file is about.")
