"""Kind RunnerPool: where runs are executed."""

from functools import cache
from typing import Literal

from pydantic import Field

from schemas.addresses import Network, Recipient
from schemas.envelope import Document, Many, Model
from schemas.quantities import Positive


class RunnerPoolSpec(Model):
    labels: dict[str, str] = Field(
        default_factory=dict, description="What is said about the pool.", examples=[{"site": "eu"}]
    )
    max_runs: Positive = Field(default=50, description="How many runs at once on each runner.", examples=[50])
    networks: Many[Network] = Field(
        default=(), description="Networks its runners reach, in CIDR form.", examples=[["10.1.0.0/16"]]
    )
    recipients: Many[Recipient] = Field(
        default=(),
        description="age recipients of secrets bound to it.",
        examples=[["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]],
    )


class RunnerPool(Document):
    """Where runs are executed."""

    kind: Literal["RunnerPool"] = Field(description="RunnerPool.")
    spec: RunnerPoolSpec = Field(default_factory=cache(RunnerPoolSpec), description="Its settings.")
