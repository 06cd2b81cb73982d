"""What a step type says about itself, and the parts that the inputs of several have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Input = Mapping[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})
Needs = Literal["commands", "files", "programs", "nothing"]
"""What a step type does at the place where it runs: runs commands, handles files (and may run commands), or nothing
there, because the runner itself does what is to be done: by programs of its own host, which get the step's `env`, or
without any."""


@dataclass(frozen=True, slots=True)
class StepType:
    """Inputs as JSON Schema properties, results by name."""

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What later steps read of it, by name, as JSON Schemas. A step that did not run has nothing of it."""
    needs: Needs = "commands"
    over: str | None = None
    """The connection it always uses."""
    description: str = ""
    planned: bool = False
    """Whether this version checks it and does not run it yet."""
    aliases: tuple[str, ...] = ()
    """Other names that `uses` may have for it."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Of each of these groups of inputs exactly one is given."""
    at_most_one_of: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, str], ...] = ()
    """Of each pair the first needs the second."""
    secret: frozenset[str] = frozenset()
    """Inputs that a secret may be the whole of."""
    credentials: tuple[str, ...] = ()
    """The types of Credentials that its input `credentialRef` names."""
    credentials_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Others, by the name of an input that asks for them where it is given."""
    files: frozenset[str] = frozenset()
    """Inputs that are the path of a file in the repository."""
    markup: str | None = None
    """The input that is markup where its input `format` says so: there expressions give text, and no markup."""
    examples: tuple[Mapping[str, Any], ...] = ()
    """Values of `with`, the first as people need it most."""

    @property
    def outputs(self) -> frozenset[str]:
        """The names of its results."""
        return frozenset(self.results)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    def credentials_for(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The types that `credentialRef` names beside these inputs."""
        return next((types for name, types in self.credentials_by.items() if name in given), self.credentials)

    @property
    def runner_side(self) -> bool:
        """Whether it needs no target."""
        return self.needs in ("nothing", "programs")

    @property
    def is_script(self) -> bool:
        """Whether its input `run` is a script: expressions in it are bound as variables, as in a step's own `run`."""
        return "run" in self.inputs


def text(description: str, *examples: str, longest: int = 4096, **more: Any) -> Input:
    """A text that is not empty."""
    return {
        "type": "string",
        "description": description,
        "minLength": 1,
        "maxLength": longest,
        "examples": [*examples],
        **more,
    }


def whole_number(description: str, least: int, most: int, *examples: int) -> Input:
    return {
        "type": "integer",
        "description": description,
        "minimum": least,
        "maximum": most,
        "examples": [*examples],
    }


def truth(description: str) -> Input:
    """False where it is left out."""
    return {"type": "boolean", "description": description, "default": False, "examples": [True]}


def choice(description: str, *options: str) -> Input:
    """One of a few words; the example is the first."""
    return {"enum": [*options], "description": description, "examples": [options[0]]}


def duration(description: str, *examples: str) -> Input:
    return text(description, *examples, longest=32, pattern=r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$")


def size(description: str, *examples: str) -> Input:
    return text(description, *examples, longest=32, pattern=r"^[1-9][0-9]{0,8}(B|KiB|MiB|GiB)$")


def anything(description: str, *examples: Any) -> Input:
    return {"description": description, "examples": [*examples]}


def said_of(**types: str) -> Mapping[str, Mapping[str, Any]]:
    """Results, each of one type."""
    return {name: {"type": one} for name, one in types.items()}


def mapping(description: str, example: Mapping[str, Any], *, values: Mapping[str, Any] | None = None) -> Input:
    said: Input = {"type": "object", "description": description, "examples": [dict(example)]}
    return said if values is None else {**said, "additionalProperties": dict(values)}


def several(description: str, items: Mapping[str, Any], example: list[Any]) -> Input:
    """A list that is not empty."""
    return {"type": "array", "description": description, "items": dict(items), "minItems": 1, "examples": [example]}


CREDENTIAL = text(
    "The Credential that logs in or signs; its name.",
    "api-token",
    longest=63,
    pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
)
REPOSITORY_FILE = text("A path from the repository's root.", "files/app.conf", pattern=r"^[^/~\\][^\\]*$")
REMOTE_PATH = text("An absolute path on the target.", "/etc/app/app.conf", pattern=r"^(/|[A-Za-z]:[\\/]|\\\\)")
CHECKSUM = text(
    "What the content must be; another fails the step before anything is put in place.",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    longest=71,
    pattern=r"^sha256:[0-9a-f]{64}$",
)
URL = text("An absolute URL of http or https.", "https://api.example.org/v1/items", longest=2048, pattern=r"^https?://")
CA_CERT = text(
    "PEM of the authority to trust, or its path from the repository's root.", "certs/site.pem", longest=65536
)
STATUSES = several(
    "Statuses that are a success; any of 200 to 299 where left out.",
    {"type": "integer", "minimum": 100, "maximum": 599},
    [200, 204],
)
HEADERS = mapping("Headers, by name.", {"Accept": "application/json"}, values={"type": "string"})
MODE = text("Permissions in octal, in quotes.", "0644", longest=5, pattern=r"^0?[0-7]{3,4}$")
