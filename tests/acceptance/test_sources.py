"""An engine whose SOURCE is an address: over https with a token, and over ssh with a key, as over a path."""

from collections.abc import Callable

import pytest

from tests.acceptance.site import HERE, Daemon, Site, job
from tests.gitservers import TOKEN, Https, https, ssh_server

__all__ = ["https", "ssh_server"]

SECONDS = 20.0
"""From a push to its verdict: a look each second, and at most one push of the status in ten."""
GREET = job("greet", "- {id: greet, run: echo hello}")
BROKEN = GREET.replace("name: greet", "name: broken").replace("steps:", "stepz:")
LINE = BROKEN.splitlines().index("  stepz:") + 1
NOW = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: now}\nspec: {jobRef: other}\n"


@pytest.fixture(params=["https", "ssh"])
def up(request: pytest.FixtureRequest, bare: Site) -> Callable[[], Daemon]:
    """Start an engine on the address; what it knows of the repository it has over that connection."""
    if request.param == "https":
        web: Https = request.getfixturevalue("https")
        bare.environment["GIT_SSL_CAINFO"] = str(web.ca)
    else:
        bare.environment["GIT_SSH_COMMAND"] = request.getfixturevalue("ssh_server").command()

    def start() -> Daemon:
        bare.git("config", "http.receivepack", "true")
        if request.param == "https":
            return bare.spawn("up", web.address(bare.source.name))
        return bare.spawn("up", request.getfixturevalue("ssh_server").address(bare.source))

    return start


@pytest.mark.slow
def test_a_pushed_commit_is_judged_within_seconds(bare: Site, up: Callable[[], Daemon]) -> None:
    """In force, and its runs start; or rejected with file, line, column and a hint: then the one before serves on."""
    bare.create({"here.yaml": HERE, "greet.yaml": GREET})
    daemon = up()
    bare.in_force()
    good = bare.commit(
        {"other.yaml": GREET.replace("name: greet", "name: other"), "definitions/requests/now.yaml": NOW}
    )
    (run,) = bare.ended("other")
    assert (run["status"]["state"], run["spec"]["commit"]) == ("succeeded", good)
    bare.in_force(good, timeout=SECONDS)

    bad = bare.commit({"broken.yaml": BROKEN, "greet.yaml": None})
    sync = bare.rejected(bad, timeout=SECONDS)
    assert sync["appliedCommit"] == sync["lastGoodCommit"] == good
    (found,) = [found for found in sync["findings"] if found["severity"] == "error"]
    assert (found["file"], found["line"], found["column"]) == ("definitions/broken.yaml", LINE, 3)
    assert "steps" in found["hint"]
    run = bare.asked("then", "jobRef: greet")
    assert (run["status"]["state"], run["spec"]["commit"]) == ("succeeded", good)
    assert daemon.stop() == 0
    assert TOKEN not in daemon.stderr + daemon.out.read_text() + "".join(bare.tree().values())
