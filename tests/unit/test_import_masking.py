"""Remarks quote other tools' files, and CI keeps what is said: what looks like a secret is never among it."""

from pathlib import Path

import pytest

from opsconductor.cli.main import call
from opsconductor.imports.drafts import Place, Remark
from opsconductor.imports.masking import masked

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"
SECRET = "hunter2hunter2"
LEAKY = {
    "crontab": {
        "crontab": f"""@reboot mysqldump -uroot -p{SECRET} db
* * * * * * curl -u admin:{SECRET} http://x/
#0 1 * * * mysqldump --password={SECRET} db
0 1 * *
0 1 * * * x ${{{{ TOKEN={SECRET}
"""
    },
    "systemd": {
        "a.timer": "[Timer]\nOnCalendar=daily\n",
        "a.service": f"""[Service]
Type=oneshot
SetCredential=dbpw:{SECRET}
Environment="DB_PASSWORD={SECRET}
Environment=DB_PASSWORD={SECRET}%x
ExecStart=/usr/bin/dump --password={SECRET} %H
""",
    },
    "rundeck": {
        "jobs.yaml": f"""- name: j
  sequence:
    commands:
    - {{script: Write-Host 1, scriptInterpreter: powershell, args: -Password {SECRET}}}
    - {{scripturl: 'https://bob:{SECRET}@scripts.example/x'}}
  plugins: {{ExecutionLifecycle: {{notify: {{password: {SECRET}}}}}}}
  notification:
    onfailure: {{urls: 'https://bob:{SECRET}@hooks.example/x,https://hooks.example/{SECRET},ftp://{SECRET}'}}
"""
    },
    "ansible": {
        "hosts": f"""web1 ansible_password={SECRET} ansible_ssh_common_args='-o ProxyCommand="sshpass -p {SECRET} b"'
web2 api="{SECRET}
web3 ansible_password=my {SECRET}
[all:vars]
{SECRET}
"""
    },
    "ssh-config": {
        "config": f"""Host a
  HostName b
  ProxyCommand sshpass -p {SECRET} ssh -W %h:%p b
  SetEnv PASS={SECRET}
  LocalCommand x {SECRET}
"""
    },
}


@pytest.mark.parametrize("tool", LEAKY)
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_is_said_or_written_holds_a_secret_of_the_source(
    tool: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    for name, text in LEAKY[tool].items():
        (tmp_path / name).write_text(text)
    zone = ["--time-zone", "UTC"] if tool in ("crontab", "systemd", "rundeck") else []
    assert call(["import", tool, *zone, "--format", form, *LEAKY[tool]]) == 1
    said = "".join(capsys.readouterr())
    assert "***" in said
    assert "hunter2" not in said
    written = [path for path in (tmp_path / "definitions").rglob("*") if path.is_file()]
    # an address is where messages go; what is secret of it is for validation to say
    own = [path for path in written if "url:" not in path.read_text()]
    assert [path for path in written if "hunter2" in str(path)] == []
    assert [path for path in own if "hunter2" in path.read_text()] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--token=abc1 x", "--token=*** x"),
        ("-Password 'abc 1' x", "-Password '***' x"),
        ("https://bob:abc1@x.example/y", "https://***@x.example/y"),
        ("https://bob:abc1abc1…", "https://***…"),
        ("{'password': 'abc1abc…", "{'password': '***"),
        ('API_KEY="two words" x', 'API_KEY="***" x'),
        ("PASS=abc1: not closed", "PASS=***: not closed"),
    ],
)
def test_a_secret_is_masked_by_the_words_before_it(text: str, shown: str) -> None:
    assert masked(Remark(Place("a", 1), text, text)) == Remark(Place("a", 1), shown, shown)


@pytest.mark.parametrize(
    "text",
    [
        "option password: its value is there (keys/x)",
        "--token-file %d/token: %d is known to the machine only",
        "the argument token: ${option.token}",
        "ask with -p 'pw={credentialRef: NAME, field: password}'",
        'TOKEN_FILE=/etc/token, --password "$PW" and https://x.example:8443/y',
        "a key of type password, and name it as credentialRef",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masked(Remark(Place("a", 1), text, "")).what == text
