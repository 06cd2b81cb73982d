"""What deploy/ holds, judged by the programs of those who read it, since nothing here can build or run it."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from helm_python import HelmError
from helm_python.chart import Chart, lint

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "opsconductor"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = ("1.27", "1.36")
VALUES: Mapping[str, Any] = {
    "source": "git@git.example.org:ops/definitions.git",
    "database": {"url": "postgresql://opsconductor@db.example.org/ops?sslmode=verify-full", "passwordSecret": "db"},
    "controller": {
        "tokenSecret": "token",
        "sshSecret": "ssh",
        "signKeySecret": "key",
        "env": {"OPSCONDUCTOR_VERIFY": "head"},
    },
    "pagesFromNamespaces": {"kubernetes.io/metadata.name": "monitoring"},
    "podMonitor": True,
    "pools": [
        {"name": "default", "replicas": 3, "secretDir": "of-jobs", "identitySecret": "age"},
        {"name": "dmz", "nodeSelector": {"zone": "dmz"}, "tolerations": [{"key": "dmz", "operator": "Exists"}]},
    ],
}


# --- systemd ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_the_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    name = unit.name.replace("@.", "@dmz.")
    (tmp_path / name).write_text(
        unit.read_text().replace("/opt/opsconductor/bin/opsconductor", shutil.which("true") or "")
    )
    read = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (read.returncode, read.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_there_is_and_leaves_time_to_stop(unit: Path) -> None:
    text = unit.read_text()
    found = re.search(r"^ExecStart=/opt/opsconductor/bin/opsconductor (\w+)(.*)$", text, re.MULTILINE)
    assert found is not None
    assert found[1] in _commands()
    assert "Type=notify" in text
    assert "NotifyAccess=main" in text
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1]) > 30  # type: ignore[index]


# --- the container ----------------------------------------------------------------------------------------------------


def test_the_container_file_has_nothing_that_hadolint_would_change() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--format", "json", DEPLOY / "container" / "Containerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout) == []


def test_the_container_is_built_from_all_that_the_package_is_made_of() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*)\]$", project, re.MULTILINE)
    forced = re.findall(r'^"([^"]+)" = "opsconductor/', project, re.MULTILINE)
    assert packages is not None
    needed = {
        *re.findall(r'"([^"]+)"', packages[1]),
        *forced,
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
    }
    assert let_in == needed
    assert all((ROOT / name).exists() for name in let_in)


@pytest.mark.slow
def test_what_the_container_is_built_from_makes_the_program(tmp_path: Path) -> None:
    """The steps of the container file, without the container: the same context, the same installation."""
    context, home = tmp_path / "context", tmp_path / "opt"
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            _copy(ROOT / line[1:], context / line[1:])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/*/site-packages")  # behind its own come those that are locked, without installing them
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "."], cwd=context, check=True)
    shown = subprocess.run(
        [home / "bin" / "opsconductor", "explain", "OC203"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "OC203" in shown.stdout


# --- compose ----------------------------------------------------------------------------------------------------------


def test_the_compose_file_keeps_to_its_specification() -> None:
    composed = _composed()
    for name in [name for name in composed if name.startswith("x-")]:
        del composed[name]  # what is only referred to
    PyCompose.from_json(json.dumps(composed)).validate()


def test_composed_services_are_closed_and_no_secret_stands_in_their_environment() -> None:
    services = _composed()["services"]
    for name in ("controller", "standby", "runner"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["command"][0] in _commands()
        assert not any(
            ":" in str(value).partition("@")[0].partition("//")[2] for value in service["environment"].values()
        )
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_compose_needs_is_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "compose", tmp_path / "compose")
    prepare = tmp_path / "compose" / "prepare.sh"
    subprocess.run([prepare], check=True)
    secrets = tmp_path / "compose" / "secrets"
    made = {file.name: file.read_text() for file in secrets.iterdir()}
    assert set(made) == {Path(each["file"]).name for each in _composed()["secrets"].values()}
    password = made["postgres-password"].strip()
    assert len(password) == 48
    assert made["pgpass"] == f"postgres:5432:opsconductor:opsconductor:{password}\n"
    assert {(file.stat().st_mode & 0o777, file.stat().st_uid) for file in secrets.iterdir()} == {(0o400, 10001)}
    subprocess.run([prepare], check=True)
    assert {file.name: file.read_text() for file in secrets.iterdir()} == made


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def test_helm_finds_nothing_to_complain_of() -> None:
    found = lint(CHART, values=dict(VALUES))
    assert found["errors"] == []
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(version: str) -> None:
    documents = _rendered()
    kinds = sorted(each["kind"] for each in documents)
    assert kinds == ["Deployment"] * 3 + ["NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"]
    for document in documents:
        if document["kind"] != "PodMonitor":  # of Prometheus's operator
            kubernetes_validate.validate(document, version, strict=True)


def test_pods_are_closed_and_hold_no_password() -> None:
    for pod in (each["spec"]["template"]["spec"] for each in _rendered() if each["kind"] == "Deployment"):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in (*pod["containers"], *pod["initContainers"]):
            closed = container["securityContext"]
            assert closed["readOnlyRootFilesystem"] is True
            assert closed["allowPrivilegeEscalation"] is False
            assert closed["capabilities"] == {"drop": ["ALL"]}
        (container,) = pod["containers"]
        assert container["args"][0] in _commands()
        given = {each["name"]: each["value"] for each in container["env"]}
        assert given["OPSCONDUCTOR_DATABASE"].endswith("?sslmode=verify-full&passfile=/run/opsconductor/pgpass")
        mounted = {each["name"] for each in container["volumeMounts"]}
        assert mounted <= {each["name"] for each in pod["volumes"]}
        assert "database" not in mounted  # only its copy, which nobody else may read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": ""}, "source"),
        ({"database": {"url": "postgresql://ops:secret@db/ops", "passwordSecret": "db"}}, "url"),
        ({"database": {"url": "sqlite:///x", "passwordSecret": "db"}}, "url"),
        ({"database": {"url": "postgresql://db/ops", "passwordSecret": ""}}, "passwordSecret"),
        ({"controller": {"tokenSecret": ""}}, "tokenSecret"),
        ({"pools": []}, "pools"),
        ({"pools": [{"name": "Not A Name"}]}, "name"),
        ({"pool": []}, "pool"),
    ],
)
def test_values_that_cannot_work_are_refused(change: Mapping[str, Any], said: str) -> None:
    with pytest.raises(HelmError, match=said):
        _rendered(**change)


def _rendered(**change: Any) -> list[dict[str, Any]]:
    with Chart.load(CHART) as chart:
        files = chart.render(values={**VALUES, **change}, name="ops", namespace="ops")
    return [document for text in files.values() for document in yaml.safe_load_all(text) if document]


def _composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return found


def _commands() -> set[str]:
    return set(re.findall(r"^\| `([a-z]+)", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda _, names: fnmatch.filter(names, "__pycache__"))
    else:
        shutil.copy(source, target)
