"""Paths in the repository, names of branches, and hosts: what could not be meant is refused where it is written."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from schemas import patterns

_NOT_GIT = re.compile(r"\.\.|//|/\.|^\.|[/.]$|\.lock(/|$)")


def _inside(text: str) -> str:
    if text.startswith(("/", "~")) or "\\" in text or ".." in text.split("/") or not text.isprintable():
        raise ValueError(
            "not a path within the repository; write it from the root, without '..', a leading '/' or a backslash"
        )
    return text


def is_inside(text: str) -> bool:
    """Whether a text is a path within the repository."""
    try:
        return bool(_inside(text))
    except ValueError:
        return False


def _for_git(text: str) -> str:
    if _NOT_GIT.search(text):
        raise ValueError("not a name that git takes; no '..', no '//', no part that begins with '.' or ends in .lock")
    return text


def _inside_or_pem(text: str) -> str:
    return text if text.lstrip().startswith(PEM) else _inside(text)


PEM = "-----BEGIN "
"""What makes a text a certificate, and no path."""
Certificate = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(_inside_or_pem),
    WithJsonSchema({"type": "string", "minLength": 1, "pattern": patterns.CERTIFICATE}),
]
"""PEM text, or a path from the repository's root."""
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/-][^\s]*$", max_length=2048)]
PATH_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": patterns.PATH}
RepositoryPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_inside),
    WithJsonSchema(PATH_SCHEMA),
]
"""From the repository's root, or from the folder a field names; never out of it."""


def _understood(text: str) -> str:
    if re.search(r"[\[\]{}]", text):
        raise ValueError("not a glob: '*' and '?' stand within a name, '**' for any folders, and brackets for nothing")
    if any("**" in part and part != "**" for part in text.split("/")):
        raise ValueError("not a glob: '**' is a whole name, between slashes")
    return text


Glob = Annotated[
    RepositoryPath,
    AfterValidator(_understood),
    WithJsonSchema({**PATH_SCHEMA, "pattern": patterns.GLOB}),
]
"""`*` and `?` within a name, `**` for any folders."""


def _branch(text: str) -> str:
    if text.startswith(("-", "/")) or text == "@" or "@{" in text or _NOT_IN_BRANCHES.search(text):
        raise ValueError("not a name of a branch; no '-' at its beginning, no blanks, and none of ~ ^ : ? * [ and \\")
    return _for_git(text)


_NOT_IN_BRANCHES = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")
Branch = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_branch),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200, "pattern": patterns.BRANCH}),
]
"""A branch of the repository, by the rules of git-check-ref-format."""
BranchRef = Annotated[
    str,
    StringConstraints(pattern=r"^refs/heads/[A-Za-z0-9._][A-Za-z0-9._/-]*$"),
    AfterValidator(_for_git),
    WithJsonSchema({"type": "string", "pattern": patterns.BRANCH_REF}),
]
BranchName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200),
    AfterValidator(_for_git),
    WithJsonSchema({"type": "string", "maxLength": 200, "pattern": patterns.BRANCH_NAME}),
]
Login = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$", max_length=256)]
"""Who somebody logs in as; no program could take it for an option."""


def _host(text: str) -> str:
    if ":" in text:
        from ipaddress import IPv6Address  # few are addresses, and fewer of these

        try:
            IPv6Address(text)
        except ValueError:
            raise ValueError("not a host: where there are colons it is an IPv6 address, as in 2001:db8::1") from None
    return text


Host = Annotated[
    str,
    StringConstraints(
        pattern=r"^([^\s/@:-][^\s/@:]*|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?)$",
        min_length=1,
        max_length=253,
    ),
    AfterValidator(_host),
]
"""A name or an address, of which no program could take a part for something else."""
