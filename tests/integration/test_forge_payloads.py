"""Each documented event of GitLab and Gitea, sent with their headers, sets off the trigger that asks for it.

`event` in expressions is the body as it came, and a field stands where the sender's documentation has it.
"""

from uuid import UUID

import pytest

from engine import payload
from engine.triggers import Fire, Happened, Ignore, verdict
from journal import events
from schemas.trigger import Provider
from tests.catalogs import catalog
from tests.integration.test_webhooks import Door, door
from tests.webhooks import CASES, JSON, SECRET, hex_of

__all__ = ["door"]
DELIVERY = str(UUID(int=7))
JOB = "kind: Job\nmetadata: {name: note}\nspec: {params: {said: {type: string}}, steps: [{uses: dummy}]}\n"
KEY = "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n"

EVENTS: tuple[tuple[Provider, str, str, str, str, str], ...] = (
    (
        "gitlab", "push", "Push Hook", "event.ref == 'refs/heads/' + event.project.default_branch",
        "event.after + ' ' + event.commits[0].added[0] + ' ' + event.user_name",
        "da1560886d4f094c3e6c9ef40349f7d38b5d27d7 a.yaml Ana Pop",
    ),
    (
        "gitlab", "tag-push", "Tag Push Hook", "event.ref.startsWith('refs/tags/') && event.commits.size() == 0",
        "event.ref + ' ' + event.checkout_sha + ' ' + string(event.project_id)",
        "refs/tags/v1.2.3 da1560886d4f094c3e6c9ef40349f7d38b5d27d7 15",
    ),
    (
        "gitlab", "merge-request", "Merge Request Hook",
        "event.object_attributes.action == 'merge' && event.object_attributes.target_branch == 'main'",
        "string(event.object_attributes.iid) + ' ' + event.object_attributes.last_commit.id",
        "7 da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    ),
    (
        "gitlab", "pipeline", "Pipeline Hook",
        "event.object_attributes.status == 'success' && event.merge_request == null",
        "event.object_attributes.ref + ' ' + event.builds[0].name + ' ' + string(event.builds[0].duration)",
        "main pack 61.25",
    ),
    (
        "gitlab", "issue", "Issue Hook",
        "event.object_attributes.action == 'open' && event.labels.exists(one, one.title == 'fleet')",
        "event.object_attributes.title + ' / ' + event.object_attributes.description",
        "Disk of web-01 is full / since `midnight`",
    ),
    (
        "gitlab", "release", "Release Hook", "event.action == 'create'",
        "event.tag + ' ' + event.project.path_with_namespace", "v1.2.3 ops/fleet",
    ),
    (
        "gitea", "push", "push", "event.ref == 'refs/heads/' + event.repository.default_branch",
        "event.after + ' ' + event.pusher.login", "bffeb74224043ba2feb48d137756c8a9331c449a ana",
    ),
    (
        "gitea", "pull-request", "pull_request", "event.action == 'closed' && event.pull_request.merged",
        "string(event.number) + ' ' + event.pull_request.base.ref + ' ' + event.pull_request.merge_commit_sha",
        "7 main bffeb74224043ba2feb48d137756c8a9331c449a",
    ),
    (
        "gitea", "release", "release", "event.action == 'published' && !event.release.prerelease",
        "event.release.tag_name + ' ' + event.repository.full_name", "v1.2.3 ops/fleet",
    ),
    ("gitea", "create", "create", "event.ref_type == 'tag'", "event.ref + ' ' + event.sender.login", "v1.2.3 ana"),
)  # fmt: skip


def headers_of(provider: Provider, kind: str, body: bytes) -> dict[str, str]:
    """As the forge sends them, with those under which others would look, too."""
    if provider == "gitlab":
        return {
            **JSON,
            "User-Agent": "GitLab/18.5.0",
            "X-Gitlab-Event": kind,
            "X-Gitlab-Token": SECRET,
            "X-Gitlab-Event-UUID": DELIVERY,
            "X-Gitlab-Webhook-UUID": str(UUID(int=8)),
            "X-Gitlab-Instance": "https://gitlab.example.org",
        }
    signature = hex_of(body)
    return {
        **JSON,
        "X-Gitea-Delivery": DELIVERY,
        "X-Gitea-Event": kind,
        "X-Gitea-Event-Type": kind,
        "X-Gitea-Signature": signature,
        "X-Gogs-Delivery": DELIVERY,
        "X-Gogs-Event": kind,
        "X-Gogs-Signature": signature,
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Delivery": DELIVERY,
        "X-GitHub-Event": kind,
        "X-GitHub-Event-Type": kind,
    }


def trigger(provider: Provider, kind: str, condition: str, said: str) -> str:
    return (
        f"kind: Trigger\nmetadata: {{name: hook}}\nspec:\n"
        f"  event: {{webhook: {{credentialRef: key, provider: {provider}, events: ['{kind}']}}}}\n"
        f'  if: "{condition}"\n  jobRef: note\n  params: {{said: "${{{{ {said} }}}}"}}\n'
    )


@pytest.mark.parametrize(
    ("provider", "case", "kind", "condition", "said", "expected"), EVENTS, ids=[f"{one[0]}-{one[1]}" for one in EVENTS]
)
async def test_a_documented_event_sets_off_the_trigger_that_asks_for_it(
    door: Door, provider: Provider, case: str, kind: str, condition: str, said: str, expected: str
) -> None:
    """What is sent again is known; where another kind is asked for, nothing starts."""
    body = (CASES / f"{provider}-{case}.json").read_bytes()
    for state in ("accepted", "known"):
        answer = await door.post(provider, body, headers_of(provider, kind, body))
        assert (answer.status_code, answer.json()) == (202, {"state": state})
    (event,) = await door.events(provider)
    kept = await door.journal.read(lambda conn: events.payload(conn, event.seq))
    assert kept is not None
    assert (event.delivery, event.type) == (DELIVERY, kind)

    happened = Happened("hook", event.key, event.arrived_at, payload.read(kept), event.type)
    found = verdict(catalog(JOB, KEY, trigger(provider, kind, condition, said)), happened)
    assert isinstance(found, Fire), found
    assert found.launch.planned.params == {"said": expected}
    assert isinstance(verdict(catalog(JOB, KEY, trigger(provider, "another", condition, said)), happened), Ignore)
