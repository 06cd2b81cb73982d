"""Kind Discovery: networks to scan, or an inventory to read -> proposed Target documents."""

import re
from datetime import timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from schemas import patterns
from schemas.addresses import Network
from schemas.envelope import Condition, Document, Many, Model, Name, Some
from schemas.job import RunsOn
from schemas.paths import BranchName, Certificate, HttpUrl, RepositoryPath
from schemas.quantities import Period
from schemas.rules import chosen, exactly_one, has, none_of, published, when
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


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("no program can be given a NUL character")
    if "${{" in text:
        raise ValueError("expressions are not read here; write the text out")
    return text


_WORD: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": patterns.PLAIN_WORD}
Word = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_plain), WithJsonSchema(_WORD)]
"""One argument of a program, as it is given to it."""
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
Endpoint = Annotated[
    HttpUrl,
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "maxLength": 2048, "pattern": patterns.PLAIN_URL}),
]


class HttpInventory(Model):
    """A server that answers with an inventory."""

    url: Endpoint = Field(description="What is asked, by GET.", examples=["https://cmdb.example.org/inventory"])
    credential_ref: Name | None = Field(default=None, description="What to log in with.", examples=["cmdb-token"])
    credential_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        max_length=64,
        description="The header that carries a token or a generic secret; a token goes as a bearer token without.",
        examples=["X-Api-Key"],
    )
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )


_READ_BY = ("command", "http", "jobRef")


class Inventory(Model):
    """Where what is proposed comes from. Exactly one of command, http and jobRef.

    The first two give an inventory in the form of `ansible-inventory --list`, the third facts of known Targets.
    """

    model_config = published(exactly_one(*_READ_BY), when(has("jobRef"), none_of("vars")))

    command: Some[Word] | None = Field(
        default=None,
        max_length=64,
        description="A program of the runner that prints it, with its arguments; started only by a runner that may.",
        examples=[["/usr/local/bin/cloud-inventory", "--list"]],
    )
    http: HttpInventory | None = Field(default=None, description="A server that is asked for it.")
    job_ref: Name | None = Field(
        default=None,
        description="A Job: whenever a run of it ends, its outputs are proposed as `facts` of the run's targets.",
        examples=["know-the-fleet"],
    )
    vars: Many[Variable] = Field(
        default=(),
        max_length=64,
        description="Variables of hosts to carry to `vars`; no other leaves the runner.",
        examples=[["region", "role"]],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Inventory":
        if len(chosen(self, _READ_BY)) != 1:
            raise ValueError("'from' has exactly one of command, http and jobRef")
        if self.job_ref is not None and self.vars:
            raise ValueError("'vars' is for inventories; beside 'jobRef' all outputs of the job are facts")
        return self


class Classification(Model):
    """What is written about hosts for which the condition holds; of several rules each adds to those before it."""

    if_: Condition = Field(
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


_OF_SCANS = ("exclude", "ports", "profile", "osDetection", "serviceDetection")
"""Fields that say how networks are scanned."""
_OF_RUNS = ("ignore", "classify", "runsOn", "timeout")
"""Fields of a Discovery that has runs of its own, and finds hosts."""


class DiscoverySpec(Model):
    model_config = published(exactly_one("networks", "from"), when(has("from"), none_of(*_OF_SCANS)))

    networks: Many[Network] = Field(default=(), min_length=1, description="What to scan.", examples=[["10.1.0.0/24"]])
    from_: Inventory | None = Field(
        default=None,
        alias="from",
        description="An inventory that is read, or a Job that gathers facts, where no network is scanned.",
    )
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

    @model_validator(mode="after")
    def _one_source(self) -> "DiscoverySpec":
        if ("networks" in self.model_fields_set) == (self.from_ is not None):
            raise ValueError("a Discovery has either 'networks' to scan, or an inventory to read in 'from'")
        if self.from_ is not None:
            given = {type(self).model_fields[name].alias or name for name in self.model_fields_set}
            beside = [name for name in _OF_SCANS if name in given]
            if beside:
                raise ValueError(f"'{beside[0]}' is for networks that are scanned; beside 'from' it means nothing")
            useless = [name for name in _OF_RUNS if name in given] if self.from_.job_ref is not None else []
            if useless:
                raise ValueError(f"'{useless[0]}' is for hosts that are found; facts are of Targets that are there")
        return self


class Discovery(Document):
    """Networks to scan or an inventory to read, for hosts that are proposed as Targets; or a Job that gathers facts."""

    kind: Literal["Discovery"] = Field(description="Discovery.")
    spec: DiscoverySpec = Field(description="What is scanned, and what becomes of it.")
