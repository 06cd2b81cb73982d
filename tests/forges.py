"""Stand-ins for GitHub, GitLab and Gitea (whose API Forgejo has), which refuse what the published API does not have.

What they check was read from, and is to be compared with:

- GitHub: `POST /repos/{owner}/{repo}/statuses/{sha}`, `GET|POST /repos/{owner}/{repo}/issues/{n}/comments` and
  `PATCH /repos/{owner}/{repo}/issues/comments/{id}` of github/rest-api-description
  (descriptions/api.github.com/api.github.com.2022-11-28.json): fields `state` (error, failure, pending, success),
  `target_url`, `description`, `context`, and no others; `per_page` is 100 at most. 422 with "Validation Failed" for a
  description over 140 characters and a comment over 65,536 is what the service answers.
- GitLab: `POST /projects/:id/statuses/:sha` of doc/api/commits.md (`state` pending, running, success, failed, canceled,
  skipped; `ref`, `target_url`, `description` of at most 255 characters; `name` or `context`; header `PRIVATE-TOKEN`),
  and app/services/ci/create_commit_status_service.rb: a status of that name that is pending or running is moved on,
  and pending may not become pending again; any other becomes a new one. Notes: doc/api/notes.md.
- Pull requests: `GET|POST /repos/{owner}/{repo}/pulls` (`state`, `head` as owner:branch, `base`; `title`, `head`,
  `base`, `body`) and `PATCH …/pulls/{n}` of the same description, which answers 422 where one is open already, and
  passes over a `head` without an owner; `GET|POST /projects/:id/merge_requests`, `PUT …/{iid}` of
  doc/api/merge_requests.md and lib/api/merge_requests.rb, those of forks among them, 409 where one is open; Gitea's
  routers/api/v1/repo/pull.go: `GET /repos/{owner}/{repo}/pulls` knows no filter by head, and `limit` is 50 at most;
  `GET …/pulls/{base}/{head}` gives the first that there ever was, closed or not (GetPullRequestByBaseHeadInfo), 409.
- Gitea: `POST /repos/{owner}/{repo}/statuses/{sha}` (`CreateStatusOption`: context, description, state, target_url),
  issue comments: templates/swagger/v1_json.tmpl; `Authorization: token …`.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "forge-token-5f2c"
COMMIT = "1f0c" * 10
_BRANCHES = (("head", "source_branch"), ("base", "target_branch"))


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    """Without the query, as it stood on the wire."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Said:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Asked], Said]


@dataclass
class Forge:
    """`statuses`: by commit and context, all states that it had; `comments` of pull request 5. `next`: said before
    anything is looked at. `mine`: whose the token is."""

    provider: str
    repository: str = "ops/fleet"
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    statuses: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    next: list[Said] = field(default_factory=list)
    mine: str = "opsconductor-bot"
    may_comment: bool = True
    pulls: list[dict[str, Any]] = field(default_factory=list)
    """Pull requests as they are: number, state, head, base, title, body; `of` is the fork that the head is in."""
    commits: set[str] = field(default_factory=lambda: {COMMIT})

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/{ {'github': 'v3', 'gitlab': 'v4', 'gitea': 'v1'}[self.provider] }"

    def states(self, commit: str = COMMIT, context: str = "opsconductor") -> list[str]:
        return [one["state"] for one in self.statuses.get((commit, context), [])]

    def answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        if self.next:
            return self.next.pop(0)
        if not self._knows(asked.headers):
            return Said(401, {"message": "401 Unauthorized" if self.provider == "gitlab" else "Bad credentials"})
        path = asked.path.removeprefix(urlsplit(self.api).path)
        return self._gitlab(asked, path) if self.provider == "gitlab" else self._github(asked, path)

    def _knows(self, headers: Mapping[str, str]) -> bool:
        match self.provider:
            case "github":
                return headers.get("authorization") == f"Bearer {TOKEN}" and "user-agent" in headers
            case "gitlab":
                return headers.get("private-token") == TOKEN
            case _:
                return headers.get("authorization") == f"token {TOKEN}"

    # --- GitHub, and Gitea after it ---------------------------------------------------------------------------------

    def _github(self, asked: Asked, path: str) -> Said:
        if path == "/user":
            if self.mine.endswith(("-actions", "[bot]")):  # the token of a run
                return Said(403, {"message": "Resource not accessible by integration"})
            return Said(200, {"login": self.mine})
        repository = f"/repos/{self.repository}"
        if not path.startswith(f"{repository}/"):
            return Said(404, {"message": "Not Found"})
        match asked.method, path.removeprefix(f"{repository}/").split("/"):
            case "POST", ["statuses", commit]:
                return self._set_status(asked.body, commit)
            case (("GET" | "POST"), ["issues", "5", "comments"]):
                return self._comments(asked)
            case "PATCH", ["issues", "comments", number]:
                return self._edit(number, asked.body)
            case "GET", ["pulls"] if self.provider == "github":
                owner, _, head = asked.query.get("head", "").rpartition(":")
                found = self._open(head if owner else None, asked.query.get("base"))
                return self._listed(asked, [one for one in found if not owner or self._of(one).startswith(f"{owner}/")])
            case "GET", ["pulls"]:
                return self._listed(asked, self._open(None, asked.query.get("base_branch")))
            case "GET", ["pulls", base, *head] if self.provider == "gitea":
                named = (unquote("/".join(head)), unquote(base), self.repository)
                found = [one for one in self.pulls if (one["head"], one["base"], self._of(one)) == named]
                return Said(200, self._pull(found[0])) if found else Said(404, {"message": "not found"})
            case "POST", ["pulls"]:
                return self._open_pull(asked.body, {"title", "head", "base", "body"}, "body")
            case "PATCH", ["pulls", number]:
                return self._write_pull(number, asked.body, {"title", "body"})
            case _:
                return Said(404, {"message": "Not Found"})

    def _open(self, head: str | None, base: str | None) -> list[dict[str, Any]]:
        """Those that are open, the newest first, of these branches where they are named, in whichever repository."""
        return [
            one
            for one in reversed(self.pulls)
            if one["state"] == "open" and head in (None, one["head"]) and base in (None, one["base"])
        ]

    def _of(self, one: Mapping[str, Any]) -> str:
        return str(one.get("of", self.repository))

    def _listed(self, asked: Asked, found: list[dict[str, Any]]) -> Said:
        """One page of them."""
        most = min(int(asked.query.get("per_page") or asked.query.get("limit") or 30), 50)
        page = int(asked.query.get("page", 1))
        return Said(200, [self._pull(one) for one in found[(page - 1) * most : page * most]])

    def _pull(self, one: Mapping[str, Any]) -> dict[str, Any]:
        known = {key: one[key] for key in ("number", "state", "title", "body")}
        if self.provider == "gitlab":
            state = "opened" if one["state"] == "open" else one["state"]
            branches = {"source_branch": one["head"], "target_branch": one["base"]}
            projects = {"source_project_id": 9 if "of" in one else 1, "target_project_id": 1}
            text = {"title": one["title"], "description": one["body"]}
            return {"iid": one["number"], "state": state, **branches, **projects, **text}
        ends = {"head": (one["head"], self._of(one)), "base": (one["base"], self.repository)}
        return known | {end: {"ref": ref, "repo": {"full_name": name}} for end, (ref, name) in ends.items()}

    def opened(self, head: str, base: str = "main", body: str = "theirs", **more: str) -> dict[str, Any]:
        """Somebody opened one."""
        made = {"number": 7 + len(self.pulls), "state": "open", "head": head, "base": base}
        self.pulls.append({**made, "title": "theirs", "body": body, **more})
        return self.pulls[-1]

    def _open_pull(self, body: Any, known: set[str], text: str) -> Said:
        if set(body) != known or len(body["title"]) > 255 or len(body[text]) > 65_536:
            return Said(422, {"message": "Validation Failed"})
        if not self.may_comment:
            return Said(403, {"message": "Resource not accessible by personal access token"})
        head, base = (body.get(name) or body.get(other) for name, other in _BRANCHES)
        if any("of" not in one for one in self._open(head, base)):
            return Said(422 if self.provider == "github" else 409, {"message": "A pull request already exists"})
        made = {"number": 7 + len(self.pulls), "state": "open", "head": head, "base": base, "title": body["title"]}
        self.pulls.append({**made, "body": body[text]})
        return Said(201, self._pull(self.pulls[-1]))

    def _write_pull(self, number: str, body: Any, known: set[str]) -> Said:
        [found] = [one for one in self.pulls if str(one["number"]) == number]
        if set(body) != known:
            return Said(422, {"message": "Validation Failed"})
        found |= {"title": body["title"], "body": body.get("body") or body.get("description")}
        return Said(200, self._pull(found))

    def _set_status(self, body: Any, commit: str) -> Said:
        known = {"state", "target_url", "description", "context"}
        states = {"pending", "success", "error", "failure"} | ({"warning"} if self.provider == "gitea" else set())
        if not set(body) <= known or body.get("state") not in states:
            return Said(422, {"message": "Validation Failed"})
        if self.provider == "github" and len(body.get("description", "")) > 140:
            return Said(422, {"message": "Validation Failed", "errors": [{"field": "description", "code": "custom"}]})
        if commit not in self.commits:
            return Said(422 if self.provider == "github" else 404, {"message": f"No commit found for SHA: {commit}"})
        self.statuses.setdefault((commit, body["context"]), []).append(body)
        return Said(201, {"id": 1, **body})

    def _comments(self, asked: Asked) -> Said:
        if asked.method == "POST":
            return self._add(asked.body)
        most = min(int(asked.query.get("per_page") or asked.query.get("limit") or 30), 100)
        page = int(asked.query.get("page", 1))
        if self.provider == "gitea":
            return Said(200, self.comments)  # the comments of one issue come without pages
        return Said(200, self.comments[(page - 1) * most : page * most])

    def _add(self, body: Any) -> Said:
        if not self.may_comment:
            return Said(403, {"message": "Resource not accessible by integration"})
        if set(body) != {"body"} or not body["body"] or len(body["body"]) > 65_536:
            return Said(422, {"message": "Validation Failed"})
        self.comments.append({"id": 100 + len(self.comments), "body": body["body"], **self._author(self.mine)})
        return Said(201, self.comments[-1])

    def _edit(self, number: str, body: Any) -> Said:
        [comment] = [one for one in self.comments if str(one["id"]) == number]
        if not self.may_comment or next(iter(self._author(self.mine).items())) not in comment.items():
            return Said(403, {"message": "Forbidden"})
        if set(body) != {"body"} or len(body["body"]) > 65_536:
            return Said(422, {"message": "Validation Failed"})
        comment["body"] = body["body"]
        return Said(200, comment)

    def _author(self, name: str) -> dict[str, Any]:
        if self.provider == "gitlab":
            return {"author": {"username": name}, "system": False}
        return {"user": {"login": name}}

    def commented(self, body: str, by: str) -> None:
        """Somebody wrote a comment."""
        self.comments.append({"id": 100 + len(self.comments), "body": body, **self._author(by)})

    # --- GitLab -----------------------------------------------------------------------------------------------------

    def _gitlab(self, asked: Asked, path: str) -> Said:
        _, projects, name, *rest = [*path.split("/"), "", ""]
        if projects == "user":
            return Said(200, {"username": self.mine})
        if projects != "projects" or unquote(name) != self.repository or "/" in name:
            return Said(404, {"message": "404 Project Not Found"})
        match asked.method, [part for part in rest if part]:
            case "POST", ["statuses", commit]:
                return self._set_gitlab_status(asked.body, commit)
            case "GET", ["merge_requests"]:
                found = self._open(asked.query.get("source_branch"), asked.query.get("target_branch"))
                return self._listed(asked, found)
            case "POST", ["merge_requests"]:
                known = {"title", "source_branch", "target_branch", "description"}
                return self._open_pull(asked.body, known, "description")
            case "PUT", ["merge_requests", number]:
                return self._write_pull(number, asked.body, {"title", "description"})
            case "GET", ["merge_requests", "5", "notes"]:
                most, page = int(asked.query.get("per_page", 20)), int(asked.query.get("page", 1))
                return Said(200, self.comments[(page - 1) * most : page * most])
            case "POST", ["merge_requests", "5", "notes"]:
                return self._add(asked.body)
            case "PUT", ["merge_requests", "5", "notes", number]:
                return self._edit(number, asked.body)
            case _:
                return Said(404, {"error": "404 Not Found"})

    def _set_gitlab_status(self, body: Any, commit: str) -> Said:
        known = {"state", "ref", "name", "context", "target_url", "description", "coverage", "pipeline_id"}
        states = {"pending", "running", "success", "failed", "canceled", "skipped"}
        if not set(body) <= known or body.get("state") not in states:
            return Said(400, {"error": "state does not have a valid value"})
        if any(len(body.get(name, "")) > 255 for name in ("ref", "target_url", "description")):
            return Said(400, {"message": {"description": ["is too long (maximum is 255 characters)"]}})
        if commit not in self.commits:
            return Said(404, {"message": "404 Commit Not Found"})
        had = self.statuses.setdefault((commit, body["name"]), [])
        if had and had[-1]["state"] == body["state"] == "pending":
            why = 'Reason(s): Status cannot transition via "enqueue"'
            return Said(400, {"message": f"Cannot transition status via :enqueue from :pending ({why})"})
        had.append(body)
        return Said(201, {"id": 1, "status": body["state"]})

    # --- the wire ---------------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
            asked = Asked(method, path, {name: values[-1] for name, values in query.items()}, headers, None)
            if body:
                assert headers["content-type"] == "application/json"
                asked = Asked(method, path, asked.query, headers, json.loads(body))
            said = self.answer(asked)
            more = "".join(f"{name}: {value}\r\n" for name, value in said.headers.items())
            data = json.dumps(said.body).encode()
            writer.write(f"HTTP/1.1 {said.status} Said\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode() + data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def standing_in(provider: str) -> AsyncIterator[Forge]:
    forge = Forge(provider)
    server = await asyncio.start_server(forge.serve, "127.0.0.1", 0)
    forge.port = server.sockets[0].getsockname()[1]
    try:
        yield forge
    finally:
        server.close()
