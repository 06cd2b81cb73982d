"""A name that is not there is told where it stands, and nothing is concluded from it elsewhere."""

import pytest

from tests.catalogs import local_target
from tests.planned import job, tree

WEB = local_target("web-1", "{role: web}")
TOKEN = "kind: Credential\nmetadata: {name: key}\nspec: {type: token, pools: %s, from: {file: key}}\n"
DMZ = "kind: RunnerPool\nmetadata: {name: dmz}\nspec: {}\n"
READS = "[{run: 'true', env: {TOKEN: '${{ secrets.key.token }}'}}]"
CHAT = (
    "kind: NotificationChannel\nmetadata: {name: chat}\n"
    "spec: {type: webhook, url: 'https://chat.example/x', pool: %s}\n"
)
TELLS = "[{uses: notify, with: {channel: chat, text: x}}]"
GROUP = "kind: TargetGroup\nmetadata: {name: web}\nspec: {names: [%s]}\n"
ABOVE = "kind: TargetGroup\nmetadata: {name: all}\nspec: {groups: [web]}\n"
LIMITED = "kind: Schedule\nmetadata: {name: s}\nspec: {jobRef: work, every: 1h, limit: {names: [web-1]}}\n"


def codes(*documents: str) -> list[str]:
    return [one.code for one in tree(WEB, *documents).findings]


@pytest.mark.parametrize(
    "documents",
    [
        (CHAT % "defalt", job("work", "{names: [web-1]}", steps=TELLS)),
        (TOKEN % "[defalt]", job("work", "{names: [web-1]}", steps=READS)),
        (job("work", "{groups: [web-ue]}"), LIMITED),
        (GROUP % "web-10", job("work", "{groups: [web]}"), LIMITED),
        (GROUP % "web-10", ABOVE, job("work", "{groups: [all]}"), LIMITED),
    ],
    ids=["pool of a channel", "pools of a credential", "group of a job", "target of a group", "a group in a group"],
)
def test_one_name_that_is_not_there_is_one_finding(documents: tuple[str, ...]) -> None:
    assert codes(*documents) == ["OC305"]


def test_a_target_that_was_copied_and_not_renamed_is_one_finding() -> None:
    """It has its labels all the same, which a selector may mean."""
    copied = local_target("web-1", "{role: db}")
    assert codes(copied, job("work", "{selector: {matchLabels: {role: db}}}")) == ["OC301"]
    assert codes(copied, job("work", "{selector: {matchLabels: {role: mail}}}")) == ["OC301", "OC307"]


def test_names_that_are_there_decide() -> None:
    assert codes(DMZ, CHAT % "dmz", job("work", "{names: [web-1]}", steps=TELLS)) == ["OC603"]
    assert codes(DMZ, TOKEN % "[dmz]", job("work", "{names: [web-1]}", steps=READS)) == ["OC603"]
    other = local_target("db-1", "{role: db}")
    assert codes(other, GROUP % "db-1", job("work", "{groups: [web]}"), LIMITED) == ["OC307"]
