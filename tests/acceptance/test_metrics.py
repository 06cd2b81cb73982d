"""What Prometheus scrapes from a running engine, and what its probes say; one engine serves most of these."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from opsconductor.metrics.described import METRICS, PREFIX
from tests.acceptance.site import HERE, Site, job, prepared, schedule
from tests.acceptance.test_dashboard import Pages, pages_of

GREET = job("greet", "- {id: greet, run: echo hello}")
NASTY = job("nasty", "- {id: fall, run: exit 3}")
OFTEN = schedule("often", "greet", "every: 1s")
YEARLY = schedule("yearly", "greet", 'cron: "0 2 1 1 *", timeZone: Europe/Berlin')

ONCALL = """
    apiVersion: opsconductor/v1
    kind: NotificationChannel
    metadata: {name: oncall}
    spec: {type: webhook, url: "https://example.org/hook"}
"""
DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = DEPLOY / "grafana" / "opsconductor.json"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("metrics")) as site:
        site.create(
            {"here.yaml": HERE, "greet.yaml": GREET, "nasty.yaml": NASTY, "yearly.yaml": YEARLY, "oncall.yaml": ONCALL}
        )
        site.up("--dashboard", "127.0.0.1:0")
        site.asked("first", "jobRef: greet")
        site.asked("second", "jobRef: nasty")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def scraped(pages: Pages) -> str:
    status, headers, text = pages.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    return text


def samples(text: str) -> Samples:
    return {
        (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, metric: str, /, **labels: str) -> float:
    return found[metric, tuple(sorted(labels.items()))]


def test_runs_are_counted_by_job_and_state(here: Site, pages: Pages) -> None:
    found = samples(scraped(pages))
    assert value(found, "runs_finished_total", name="greet", kind="job", state="succeeded") == 1
    assert value(found, "runs_finished_total", name="greet", kind="job", state="failed") == 0
    assert value(found, "runs_finished_total", name="nasty", kind="job", state="failed") == 1
    assert value(found, "run_duration_seconds_count", name="nasty", kind="job") == 1
    assert value(found, "run_lateness_seconds_count", pool="default") == 2
    assert value(found, "job_consecutive_failures", name="nasty", kind="job") == 1
    assert value(found, "job_consecutive_failures", name="greet", kind="job") == 0
    assert value(found, "job_last_success_timestamp_seconds", name="greet", kind="job") > 1_700_000_000
    assert ("job_last_success_timestamp_seconds", (("kind", "job"), ("name", "nasty"))) not in found


def test_the_engine_says_how_it_is(here: Site, pages: Pages) -> None:
    found = samples(scraped(pages))
    head = here.head("main")
    assert head is not None
    assert value(found, "commit_info", role="applied", commit=head) == 1
    assert value(found, "commit_in_force") == value(found, "ready") == value(found, "claim_held") == 1
    assert value(found, "definitions", kind="Job") == 2
    assert value(found, "runner_capacity", pool="*") > 0
    assert value(found, "store_bytes", file="journal") > 0
    assert value(found, "git_duration_seconds_count", operation="push", outcome="succeeded") > 0
    assert value(found, "reconcile_duration_seconds_count") > 0
    assert value(found, "reconcile_age_seconds") < 60


def test_no_series_names_a_run_a_target_or_a_person(here: Site, pages: Pages) -> None:
    """What a label can say is bounded by the definitions, however long the engine runs."""
    text = scraped(pages)
    for run in here.runs():
        assert run["metadata"]["name"] not in text
    assert '"here"' not in text and "@" not in text
    known = {name for each in METRICS for name in each.labels} | {"le"}
    shown = {label for (name, labels) in samples(text) for label, _ in labels if not name.startswith("process_")}
    assert shown <= known


def test_every_metric_that_is_shown_is_described(pages: Pages) -> None:
    named = set(re.findall(r"^# TYPE (opsconductor_\w+) (\w+)$", scraped(pages), re.MULTILINE))
    assert named <= {(each.name, each.kind) for each in METRICS}


def test_openmetrics_is_spoken_where_it_is_asked_for(pages: Pages) -> None:
    status, headers, text = pages.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (status, text.endswith("# EOF\n")) == (200, True)
    assert headers["Content-Type"].startswith("application/openmetrics-text")


def test_probes_name_every_part_where_they_are_asked(pages: Pages) -> None:
    assert pages.ask("/readyz")[::2] == (200, "ok\n")
    text = pages.ask("/readyz?verbose")[2]
    assert text.splitlines()[0] == "ok" and "journal: ok\n" in text and "status branch: ok\n" in text


def asked_for() -> dict[str, list[str]]:
    """The expressions of the alert rules and of the Grafana dashboard."""
    rules = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    board = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    shown += [one["expr"] for one in board["annotations"]["list"]]
    shown += [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    return {"alerts": rules, "dashboard": shown}


@pytest.mark.parametrize("where", ["alerts", "dashboard"])
def test_what_alerts_and_the_dashboard_ask_for_is_shown_by_an_engine(pages: Pages, where: str) -> None:
    """Every metric, and every label that is compared or grouped by."""
    text = scraped(pages)
    found = samples(text)
    labels = {name: {label for one, of in found for label, _ in of if one == name} for name, _ in found}
    for expression in asked_for()[where]:
        names = set(re.findall(r"\bopsconductor_(\w+)", expression))
        assert names or expression.startswith("up{")
        assert names <= labels.keys(), expression
        grouped = {name.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for name in by.split(",")}
        compared = set(re.findall(r"[{,]\s*(\w+)=", expression))
        known = set().union(*(labels[name] for name in names), {"instance", "job"})
        assert grouped | compared <= known, expression


def test_the_grafana_dashboard_is_whole() -> None:
    """Panels have ids of their own, lie beside each other, and ask the chosen data source."""
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
    asked = [each["datasource"]["uid"] for panel in panels for each in (panel, *panel["targets"])]
    assert set(asked) == {"${datasource}"}
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "instance"]


@pytest.mark.slow
def test_the_alert_rules_do_what_their_own_tests_say() -> None:
    for words in (("check", "rules", ALERTS.name), ("test", "rules", "alerts.test.yaml")):
        done = subprocess.run(["promtool", *words], cwd=ALERTS.parent, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    alerts = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    for each in yaml.safe_load((ALERTS.parent / "alerts.test.yaml").read_text())["tests"]:
        assert {one["alertname"] for one in each["alert_rule_test"]} == alerts


@pytest.mark.slow
def test_prometheus_understands_what_the_dashboard_asks(tmp_path: Path) -> None:
    shown = [one for one in asked_for()["dashboard"] if not one.startswith("label_values")]
    plain = [one.replace("$__rate_interval", "5m").replace("$instance", ".*") for one in shown]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(plain)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_promtool_finds_nothing_to_say(pages: Pages) -> None:
    """Prometheus' own judgement of names, help and types."""
    text = scraped(pages).encode()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@pytest.mark.slow
def test_what_was_counted_outlasts_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    with prepared(tmp_path_factory.mktemp("again")) as site:
        site.create({"here.yaml": HERE, "greet.yaml": GREET, "often.yaml": OFTEN})
        engine = site.up("--dashboard", "127.0.0.1:0")
        site.wait(lambda: len(site.runs("greet")) >= 2, what="two runs")
        before = samples(scraped(pages_of(site)))
        assert engine.stop() == 0
        site.up("--dashboard", "127.0.0.1:0")
        after = samples(scraped(pages_of(site)))
        for name in ("runs_finished_total", "due_instants_total"):
            for key in (key for key in before if key[0] == name):
                assert after[key] >= before[key]
        assert value(after, "runs_finished_total", name="greet", kind="job", state="succeeded") >= 2
        assert value(after, "due_instants_total", decision="run", reason="") >= 2
