"""`logs` where the engine's state folder is not: what the steps printed comes from its dashboard."""

from pathlib import Path
from typing import Any

from tests.acceptance.site import Site, job
from tests.acceptance.test_dashboard import pages_of

TALKS = '- {id: talks, run: "echo hello; echo from afar"}\n- {id: more, run: echo more, retry: {maxAttempts: 2}}'


def test_a_log_comes_from_the_dashboard(site: Any, tmp_path: Path) -> None:
    made: Site = site({"greet.yaml": job("greet", TALKS)})
    token = tmp_path / "token"
    token.write_text("a-token-of-this-dashboard-alone\n")
    made.up("--dashboard", "127.0.0.1:0", "--token", str(token))
    made.asked("first", "jobRef: greet")
    (run,) = made.runs("greet")
    name, elsewhere = run["metadata"]["name"], ("--state", str(tmp_path / "elsewhere"))
    url = f"http://{':'.join(map(str, pages_of(made).place))}"

    nothing = made.run("logs", name, *elsewhere)
    assert nothing.returncode == 1 and "--url its dashboard" in nothing.stderr
    refused = made.run("logs", name, *elsewhere, env={"OPSCONDUCTOR_URL": url})
    assert refused.returncode == 1 and "it asks for a token; --token" in refused.stderr
    known = {"OPSCONDUCTOR_URL": url, "OPSCONDUCTOR_TOKEN": str(token)}
    asked = made.run("logs", name, *elsewhere, env=known)
    assert (asked.returncode, asked.stdout) == (0, "hello\nfrom afar\nmore\n")
    assert made.run("logs", name, "-s", "more", *elsewhere, env=known).stdout == "more\n"
    away = made.run("logs", name, *elsewhere, "--url", "http://127.0.0.1:1")
    assert away.returncode == 1 and "http://127.0.0.1:1 cannot be asked" in away.stderr


def test_a_log_is_followed_as_it_grows(site: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"
    made: Site = site(
        {
            "greet.yaml": job(
                "greet", f"- {{id: talks, run: 'echo one; until test -e {go}; do sleep 0.1; done; echo two'}}"
            )
        }
    )
    made.up("--dashboard", "127.0.0.1:0")
    made.request("first", "jobRef: greet")
    name = made.running("greet")["metadata"]["name"]
    pages = pages_of(made)
    (log,) = made.wait(lambda: pages.data(f"/api/v1/runs/{name}/logs")["logs"], what="its log")
    assert (log["target"], log["step"], log["attempt"], log["bytes"]) == ("here", "talks", 1, 4)
    text = f"/runs/{name}/log.txt?target=here&step=talks"
    assert pages.ask(text)[2] == "one\n" and pages.ask(f"{text}&from=2")[2] == "e\n"
    status, headers, body = pages.ask(text, "HEAD")
    assert (status, headers["Content-Length"], headers["X-Content-Type-Options"], body) == (200, "4", "nosniff", "")
    assert pages.ask(f"{text}&from=400")[2] == "" and pages.ask(f"{text}&from=x")[0] == 400
    assert pages.ask(f"/runs/{name}/log.txt?target=here&step=nosuch")[0] == 404
    assert text.replace("log.txt", "log").split("?")[0] in pages.page(f"/runs/{name}/logs")

    go.touch()
    url = f"http://{':'.join(map(str, pages.place))}"
    followed = made.run("logs", name, "-f", "--state", str(tmp_path / "elsewhere"), "--url", url)
    assert (followed.returncode, followed.stdout) == (0, "one\ntwo\n")
