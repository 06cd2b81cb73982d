"""Of documents in files that nobody could look into nothing is said to be missing; on disk and in a commit alike."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.checking.validation import validate_commit, validate_paths

REFERRING = {
    "opsconductor.yaml": "kind: Project\nmetadata: {name: p}\nspec: {}\n",
    "definitions/job.yaml": "kind: Job\nmetadata: {name: j}\n"
    "spec: {targets: {names: [web-01]}, steps: [{run: uptime}]}\n",
    "definitions/by-label.yaml": "kind: Job\nmetadata: {name: k}\n"
    "spec: {targets: {selector: {matchLabels: {role: web}}}, steps: [{run: uptime}]}\n",
}
WEB = "kind: Target\nmetadata: {name: web-01, labels: {role: web}}\nspec: {connections: {local: {}}}\n"


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("OC116", "definitions/large.yaml"),
        ("OC121", "definitions/linked.yaml"),
        ("OC123", "definitions/" + "/".join("abcdefghijklmnopq") + "/web.yaml"),
        ("OC124", "definitions/we\nb.yaml"),
    ],
)
def test_nothing_is_said_to_be_missing_that_may_be_in_a_file_which_was_not_read(
    code: str, place: str, tmp_path: Path
) -> None:
    head = "apiVersion: opsconductor/v1\n"
    (tmp_path / "elsewhere.txt").write_text(head + WEB)
    for name, text in REFERRING.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(head + text)
    hidden = tmp_path / place
    hidden.parent.mkdir(parents=True, exist_ok=True)
    if code == "OC121":
        hidden.symlink_to(tmp_path / "elsewhere.txt")
    else:
        hidden.write_text(head + WEB + ("# more\n" * 200_000 if code == "OC116" else ""))
    on_disk = validate_paths(tmp_path).compiled.findings
    assert [one.code for one in on_disk] == [code]
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert [one.code for one in validate_commit(tmp_path / ".git", commit).compiled.findings] == [code]
