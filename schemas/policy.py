"""Kinds Policy and User: who may do what, and who people are."""

import unicodedata
from functools import cache
from typing import Literal

from pydantic import Field

from schemas.envelope import Document, KindName, Many, Model, Name
from schemas.notification import Address, Quiet
from schemas.paths import Glob
from schemas.selector import Selector

Verb = Literal["change", "run", "approve", "cancel"]


class Objects(Model):
    """What a rule is about; every field that is given must match."""

    kinds: Many[KindName] = Field(default=(), description="Kinds of documents.", examples=[["Job", "Schedule"]])
    paths: Many[Glob] = Field(
        default=(),
        description="Globs of the files that they stand in; a rule that denies guards every other file there, too.",
        examples=[["definitions/web/**"]],
    )
    selector: Selector | None = Field(default=None, description="Documents whose labels match.")


class Conditions(Model):
    """What must hold besides."""

    signed: bool = Field(default=False, description="By a key of theirs; so it is wherever Policies hold.")
    approvals: int = Field(
        default=0,
        ge=0,
        le=100,
        description="How many people must approve it first: a change, a run, a cancellation.",
        examples=[1],
    )
    not_requester: bool = Field(default=False, description="Approvals of the requester do not count.")


class Rule(Model):
    """Who may, or may not, do what to what."""

    subjects: Many[Name] = Field(min_length=1, description="Users or teams.", examples=[["web-team", "ana"]])
    verbs: Many[Verb] = Field(min_length=1, description="What they do.", examples=[["change", "run"]])
    objects: Objects = Field(default_factory=cache(Objects), description="To what; to everything where left out.")
    effect: Literal["allow", "deny"] = Field(default="allow", description="Whether they may; deny wins.")
    conditions: Conditions = Field(default_factory=cache(Conditions), description="What must hold besides.")


class PolicySpec(Model):
    rules: Many[Rule] = Field(min_length=1, description="The rules; their order means nothing.")


class Policy(Document):
    """Who may change, run, approve and cancel what."""

    kind: Literal["Policy"] = Field(description="Policy.")
    spec: PolicySpec = Field(description="The rules.")


class UserNotify(Model):
    """What a person wants to hear of, and where."""

    channels: Many[Name] = Field(default=(), description="Channels to reach them by.", examples=[["ana-mail"]])
    on_success: bool = Field(default=False, description="Tell them of success, too.")
    quiet: Quiet | None = Field(default=None, description="When not to disturb them.")


class UserSpec(Model):
    email: Address | None = Field(default=None, description="Their address.", examples=["ana@example.org"])
    signing_keys: Many[str] = Field(
        default=(),
        description="SSH public keys that sign their commits.",
        examples=[["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"]],
    )
    teams: Many[Name] = Field(default=(), description="Teams they belong to.", examples=[["web-team"]])
    notify: UserNotify = Field(default_factory=cache(UserNotify), description="What they want to hear of.")


def folded(address: str) -> str:
    """An address as it is compared: upper and lower case, and letters that only look different, are the same.

    Whoever could register one that reads like another's must not pass for them.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).casefold())


class User(Document):
    """A person, or an account that acts for one."""

    kind: Literal["User"] = Field(description="User.")
    spec: UserSpec = Field(default_factory=cache(UserSpec), description="Who they are.")
