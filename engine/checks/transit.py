"""Credentials that would cross a network in plain text: what they are sent to is an address without TLS."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from engine.checks.files import connections_of
from engine.checks.scope import steps_of
from engine.checks.steps import resting_on
from schemas.diagnostic import Diagnostic, Related
from schemas.discovery import Discovery, DiscoverySpec, HttpInventory, Inventory
from schemas.project import CommitStatus, Project, ProjectSpec
from schemas.reader import Authored
from schemas.span import Span

_SENT_BY = frozenset({"http.request", "mcp.call"})
"""Step types that send their credential; a webhook is signed with it."""


def about(authored: Authored, scope: object) -> Iterator[Diagnostic]:
    for connections, path in connections_of(authored.document):
        if connections.http is not None and connections.http.credential_ref is not None:
            at = authored.span(*path, "http", "baseUrl")
            yield from _plain(connections.http.base_url, at, authored.span(*path, "http", "credentialRef"))
    match authored.document:
        case Project(spec=ProjectSpec(commit_status=CommitStatus(url=str(url)))):
            status = ("spec", "commitStatus")
            yield from _plain(url, authored.span(*status, "url"), authored.span(*status, "credentialRef"))
        case Discovery(spec=DiscoverySpec(from_=Inventory(http=HttpInventory(url=url, credential_ref=str())))):
            asked = ("spec", "from", "http")
            yield from _plain(url, authored.span(*asked, "url"), authored.span(*asked, "credentialRef"))
    for placed in steps_of(authored):
        given = placed.step.with_ or {}
        if placed.type is not None and placed.type.name in _SENT_BY and "credentialRef" in given:
            path = (*placed.path, "with")
            found = _plain(given.get("url"), authored.span(*path, "url"), authored.span(*path, "credentialRef"))
            yield from resting_on(placed, ("uses", "with"), found)


def _plain(url: object, at: Span, credential: Span) -> Iterator[Diagnostic]:
    if not isinstance(url, str) or not url.startswith("http://"):
        return
    related = (Related(credential, "the credential"),)
    message = "the credential would cross the network in plain text"
    if _is_own_host(url):
        hint = "on the runner's own host nobody reads along; elsewhere https is needed"
        yield Diagnostic(at, "OC612", f"{message} if this were another host", hint, "warning", related)
    else:
        yield Diagnostic(
            at, "OC612", message, "write https://, with 'caCert' where its authority is your own", "error", related
        )


def _is_own_host(url: str) -> bool:
    found = _HOST.match(url)
    host = found["host"].lower().strip("[]") if found else ""
    try:
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


_HOST = re.compile(r"http://(?:[^/?#]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)")
