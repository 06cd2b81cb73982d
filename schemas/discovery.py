"""Kind Discovery: networks to scan -> proposed Target documents."""

import re
from datetime import timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from schemas import patterns
from schemas.addresses import Network
from schemas.envelope import Document, Many, Model, Name
from schemas.job import RunsOn
from schemas.paths import BranchName, RepositoryPath
from schemas.quantities import Period
from schemas.target import Connections

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)


def _port(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
        return value
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)) and 1 <= int(found[1]) <= int(found[2]) <= 65535:
        return value
    raise ValueError('not a port; write a number from 1 to 65535, or a range as in "8000-8100"')


PortRange = Annotated[
    int | str,
    BeforeValidator(_port),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": patterns.PORTS},
            ]
        }
    ),
]


Sign = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What a host can be told by."""


class Classification(Model):
    """What is written about hosts for which the condition holds; of several rules each adds to those before it."""

    if_: str | bool | None = Field(
        default=None,
        alias="if",
        description="Expression over `host`; holds for every host where left out.",
        examples=["${{ 22 in host.ports }}"],
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels to give.", examples=[{"role": "web"}])
    os: Literal["linux", "windows", "network", "other"] | None = Field(default=None, description="What runs there.")
    connections: Connections | None = Field(default=None, description="Settings of connections that answered.")
    credential_ref: Name | None = Field(default=None, description="What to log in with.", examples=["web-key"])


class Proposal(Model):
    """Where the proposed documents go."""

    branch: BranchName = Field(
        default="opsconductor/discovery",
        description="Branch of the proposal.",
        examples=["opsconductor/discovery-lab"],
    )
    path: RepositoryPath = Field(
        default="definitions/targets",
        description="Folder of the documents, from the repository's root.",
        examples=["definitions/targets/lab"],
    )
    stale_after: Period = Field(
        default=timedelta(days=14), description="A host not seen for this long is marked stale.", examples=["30d"]
    )
    pull_request: bool = Field(
        default=True,
        description="Whether a pull request is opened too, at the forge that the Project's `commitStatus` names.",
    )


class DiscoverySpec(Model):
    networks: Many[Network] = Field(min_length=1, description="What to scan.", examples=[["10.1.0.0/24"]])
    exclude: Many[Network] = Field(default=(), description="What to leave alone.", examples=[["10.1.0.1"]])
    ignore: Many[Sign] = Field(
        default=(),
        description="Hosts that are never proposed, by SSH host key, MAC address, name, address or network.",
        examples=[["00:1b:21:3c:9d:f8", "printer-3.example.org"]],
    )
    ports: Many[PortRange] = Field(
        default=(22, 80, 443, 3389, 5985, 5986), description="Ports to ask.", examples=[[22, "8000-8100"]]
    )
    profile: Literal["polite", "normal", "fast"] = Field(default="normal", description="How hard it asks.")
    os_detection: bool = Field(default=False, description="Guess the operating system; needs raw sockets.")
    service_detection: bool = Field(default=False, description="Ask open ports what they are.")
    timeout: Period | None = Field(
        default=None, description="How long one scan may take; the Project's default, else 1h.", examples=["6h"]
    )
    runs_on: RunsOn = Field(default_factory=cache(RunsOn), description="Where it runs.")
    classify: Many[Classification] = Field(default=(), description="What is written about the hosts found.")
    propose: Proposal = Field(default_factory=cache(Proposal), description="Where the proposed documents go.")


class Discovery(Document):
    """Networks to scan for hosts, which are proposed as Targets."""

    kind: Literal["Discovery"] = Field(description="Discovery.")
    spec: DiscoverySpec = Field(description="What is scanned, and what becomes of it.")
