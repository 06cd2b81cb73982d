"""`new` and `schema --with-names` as their users meet them, from an empty folder."""

import json
import subprocess
import sys
from pathlib import Path


def ask(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opsconductor.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_a_repository_grows_document_by_document(tmp_path: Path) -> None:
    assert ask("new", "job", "greet", cwd=tmp_path).returncode == 2
    for kind, name in (("project", "fleet"), ("Targets", "here"), ("job", "greet"), ("schedule", "greet-often")):
        done = ask("new", kind, name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.startswith("wrote "), done.stderr
    again = ask("new", "schedule", "greet-often", cwd=tmp_path)
    assert again.returncode == 2 and "exists" not in again.stderr
    assert "there is Schedule 'greet-often' already, in definitions/schedules/greet-often.yaml" in again.stderr
    target = tmp_path / "definitions" / "targets" / "here.yaml"
    head, _, _ = target.read_text().partition("  connections:")
    target.write_text(f"{head}  connections: {{local: {{}}}}\n")
    judged = ask("validate", cwd=tmp_path)
    assert (judged.returncode, judged.stdout) == (0, "4 documents, no findings\n"), judged.stdout
    assert ask("fmt", "--check", cwd=tmp_path).returncode == 0


def test_it_prints_a_document_without_a_checkout(tmp_path: Path) -> None:
    done = ask("new", "notification-rule", "told", "--stdout", cwd=tmp_path)
    assert done.returncode == 0 and "kind: NotificationRule\n" in done.stdout and "  name: told\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
    wrong = ask("new", "run", "x", "--stdout", cwd=tmp_path)
    assert wrong.returncode == 2 and "Run is written by the engine" in wrong.stderr
    near = ask("new", "schedul", "x", "--stdout", cwd=tmp_path)
    assert near.returncode == 2 and "did you mean Schedule?" in near.stderr


def test_the_schema_has_the_names_of_the_checkout(tmp_path: Path) -> None:
    assert ask("new", "project", "fleet", cwd=tmp_path).returncode == 0
    assert ask("new", "job", "greet", cwd=tmp_path).returncode == 0
    (tmp_path / "below").mkdir()
    done = ask("schema", "Schedule", "--with-names", cwd=tmp_path / "below")
    reference = json.loads(done.stdout)["$defs"]["ScheduleSpec"]["properties"]["jobRef"]
    assert reference["anyOf"][0] == {"enum": ["greet"]}
    nowhere = ask("schema", "--with-names", "-C", "/", cwd=tmp_path)
    assert nowhere.returncode == 2 and "name the repository by -C" in nowhere.stderr
