"""Policies, by whoever pushes: what people who sign may change, ask for and approve, through the program."""

import subprocess
from dataclasses import dataclass

import pytest

from tests.acceptance.site import HERE, Site, job
from tests.acceptance.test_dashboard import pages_of
from tests.permits import doc, policy
from tests.signing import Keys, Repository

SIGNED = doc("kind: Project\nmetadata: {name: ops}\nspec: {interval: 5s, verify: {mode: range}}\n")
IDENTITY = {f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
RULES = policy(
    "{subjects: [ann], verbs: [change, run, approve, cancel]}",
    "{subjects: [web], verbs: [change], objects: {kinds: [Job]}, conditions: {approvals: 1, notRequester: true}}",
    "{subjects: [web], verbs: [run], objects: {kinds: [Job]}}",
)


@dataclass
class People:
    """Those with keys, each with a home of their own."""

    site: Site
    keys: Keys

    def user(self, name: str, teams: str = "") -> str:
        spec = f'{{email: {name}@example.org, teams: [{teams}], signingKeys: ["{self.keys.ssh(name).public}"]}}'
        return doc(f"kind: User\nmetadata: {{name: {name}}}\nspec: {spec}\n")

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, as somebody runs it whose git signs."""
        home = self.site.root / f"home-of-{name}"
        home.mkdir(exist_ok=True)
        settings = f"[user]\nname = {name}\nemail = {name}@example.org\nsigningkey = {self.keys.ssh(name).path}\n"
        (home / ".gitconfig").write_text(f"{settings}[gpg]\nformat = ssh\n[commit]\ngpgsign = true\n")
        return self.site.run(*arguments, env={"HOME": str(home), "XDG_CONFIG_HOME": str(home)})

    def push(self, name: str, text: str, on: str) -> str:
        """A commit that takes the place of what was pushed after `on`."""
        repository = Repository(self.site.source, {**self.site.environment, **IDENTITY})
        made = repository.commit({"definitions/note.yaml": text}, on, by=self.keys.ssh(name))
        repository.git("push", "-q", "--force", self.site.source, f"{made}:refs/heads/main")
        return made


@pytest.mark.slow
def test_people_change_ask_and_approve_as_the_policies_say(bare: Site) -> None:
    (bare.root / "keys").mkdir()
    people = People(bare, Keys(bare.root / "keys"))
    users = {"ann.yaml": people.user("ann"), "bo.yaml": people.user("bo", "web"), "eve.yaml": people.user("eve")}
    note = job("note", "- {id: note, run: 'echo one'}")
    first = bare.create({"opsconductor.yaml": SIGNED, **users, "who.yaml": RULES, "here.yaml": HERE, "note.yaml": note})
    bare.up("--dashboard", "127.0.0.1:0")
    bare.in_force(first)
    other = job("note", "- {id: note, run: 'echo two'}")
    evil = people.push("eve", other, first)
    said = bare.wait(lambda: _stalled(bare, evil), what="the commit to be refused")
    assert said["reason"] == "NotPermitted"
    assert "eve may not: change Job/note: ann; bo, 1 approval of others than the requester" in said["message"]
    refused = people.run("eve", "run", "note", "--wait")
    assert refused.returncode == 1
    assert "eve may not: run Job/note: ann, bo" in refused.stderr
    done = people.run("bo", "run", "note", "--wait")
    assert done.returncode == 0, done.stderr
    mine = people.push("bo", other, first)
    said = bare.wait(lambda: _stalled(bare, mine), what="the commit to wait")
    assert said["reason"] == "WaitsForApproval"
    assert bare.sync()["change"]["wants"][0]["by"] == ["ann"]
    (listed,) = bare.json("get", "gates", "-o", "json")["items"]
    assert (listed["kind"], listed["spec"]["commit"]) == ("WaitingChange", mine)
    assert listed["metadata"]["name"] == bare.sync()["change"]["gate"]
    pages, command = pages_of(bare), listed["status"]["toApprove"]
    for path in ("/", "/sync"):
        code, _, shown = pages.ask(path)
        assert (code, command in shown, "0 of 1 approved; ann may approve" in shown) == (200, True, True), path
    own = people.run("bo", "approve", mine[:8])
    assert own.returncode == 0, own.stderr
    assert f"commit {mine[:12]} on {first[:12]}, by bo" in own.stderr
    yes = people.run("ann", "approve", mine[:8], "--reason", "fine", "--wait")
    assert yes.returncode == 0, yes.stderr
    bare.in_force(mine)
    assert "change" not in bare.sync()


def _stalled(site: Site, commit: str) -> dict[str, str] | None:
    """Why the commit is not in force, once that was said."""
    status = site.sync()
    if status.get("observedCommit") != commit:
        return None
    found = {one["type"]: one for one in status["conditions"]}["Stalled"]
    return found if found["status"] == "True" else None
