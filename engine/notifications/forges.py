"""Where a forge's API is, and which repository of it the source is. Pure.

GitHub: <https://docs.github.com/en/rest>, of an Enterprise Server below `/api/v3`. GitLab: <https://docs.gitlab.com/api/rest/>,
below `/api/v4`. Gitea and Forgejo: <https://docs.gitea.com/api/>, below `/api/v1`.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

Provider = Literal["github", "gitlab", "gitea"]
_BELOW = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}
_BRANCH = {"github": "tree", "gitlab": "-/tree", "gitea": "src/branch"}
_HOSTS = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
"""Hosts that speak ssh only, where port 22 is shut."""
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?|ssh)://(?:[^/@\s]+@)?|[\w.-]+@|)(?P<host>\[[0-9A-Fa-f:]+\]|[\w.-]+)(?::(?P<port>\d+))?"
    r"[:/]/*(?P<path>[\w./~-]+?)(?:\.git)?/*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A repository at a forge. `api` has no slash at its end; `web` is where people see it, None: not known."""

    provider: Provider
    api: str
    repository: str
    web: str | None

    def branch_page(self, branch: str) -> str | None:
        """Where a branch is shown, and its README.md with it. `branch` is quoted as a URL needs it."""
        return None if self.web is None else f"{self.web}/{_BRANCH[self.provider]}/{branch}"


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Why the place is not known, and what to write; for people."""

    reason: str


def place_of(
    provider: Provider, source: str, url: str | None = None, repository: str | None = None
) -> Place | Unplaced:
    """What `url` (of the API) and `repository` say, and for what is left out the address that definitions come from.

    `source` is an address as git takes it, without a login.
    """
    found = _read(source)
    if repository is None:
        path = "" if found is None else found["path"].strip("/")
        if "/" not in path:
            return Unplaced("the source is no address of a repository at a forge: write 'repository', and 'url'")
        repository = path if provider == "gitlab" else "/".join(path.split("/")[-2:])
    if provider != "gitlab" and repository.count("/") != 1:
        return Unplaced(f"repository {repository!r} is not OWNER/NAME")
    if url is not None:
        api = url.rstrip("/")
        return Place(provider, api, repository, _page(_site_of(provider, api), repository))
    if found is None:
        return Unplaced("the source is no address of a forge: write 'url', the address of its API")
    site = _site(found)
    if site is None:
        return Unplaced("over http the token would cross the network in plain text: write 'url' with https")
    if (path := found["path"].strip("/")).endswith(f"/{repository}"):
        site += f"/{path.removesuffix(f'/{repository}')}"  # a forge that does not lie at its host's root
    api = "https://api.github.com" if site == "https://github.com" else site + _BELOW[provider]
    return Place(provider, api, repository, _page(site, repository))


def _read(source: str) -> re.Match[str] | None:
    if source.startswith(("/", "file://")):
        return None
    return _ADDRESS.fullmatch(source)


def _site(found: re.Match[str]) -> str | None:
    """The forge's own address. The port of ssh says nothing of it; one of http(s) is its own."""
    host = _HOSTS.get(found["host"].lower(), found["host"].lower())
    if found["scheme"] == "http":
        return f"http://{host}{_port(found)}" if _is_own(host) else None
    return f"https://{host}{_port(found) if found['scheme'] == 'https' else ''}"


def _port(found: re.Match[str]) -> str:
    return f":{found['port']}" if found["port"] else ""


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _site_of(provider: Provider, api: str) -> str | None:
    if api == "https://api.github.com":
        return "https://github.com"
    return api.removesuffix(_BELOW[provider]) if api.endswith(_BELOW[provider]) else None


def _page(site: str | None, repository: str) -> str | None:
    return None if site is None else f"{site}/{repository}"
