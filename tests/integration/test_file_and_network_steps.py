"""Every step of the libraries files, network, databases and web-http: on a real host over SSH, or by the runner."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.states import StepState
from tests.httpserver import Authority, HttpServer, serving
from tests.libraries import catalog, planned
from tests.libraryhost import Steps, host, steps
from tests.linuxhost import free_port
from tests.running import Bench, bench

__all__ = ["bench", "host", "steps"]
pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def web() -> AsyncIterator[HttpServer]:
    async with serving() as server:
        yield server


# --- files -----------------------------------------------------------------------------------------------------------


async def test_backup(steps: Steps) -> None:
    steps.see("mkdir -p '/srv/a b' /srv/c; echo one > '/srv/a b/1'; echo two > /srv/c/2; touch /srv/c/x.tmp")
    given = {"paths": ["/srv/a b", "/srv/c"], "folder": "/var/backups/x y", "name": "srv"}
    for compress, suffix in (("gzip", ".gz"), ("zstd", ".zst"), ("xz", ".xz"), ("none", "")):
        done = await steps.outputs("files/backup@1", **given, compress=compress, exclude=["*.tmp", "nothing"])
        assert done["archive"].startswith("/var/backups/x y/srv-2")
        assert done["archive"].endswith(f"Z.tar{suffix}")
        listed = steps.see(f"tar -tf '{done['archive']}'")
        assert sorted(listed.split("\n")) == ["", "srv/a b/", "srv/a b/1", "srv/c/", "srv/c/2"]
        assert steps.see(f"cd '/var/backups/x y' && sha256sum -c '{done['archive']}.sha256'").endswith("OK\n")
        assert steps.see(f"stat -c '%a %s' '{done['archive']}'") == f"600 {done['size']}\n"
    assert "there is no /srv/none" in await steps.refuses("files/backup@1", **{**given, "paths": ["/srv/none"]})
    assert steps.see("ls '/var/backups/x y' | grep -c part", check=False) == "0\n"


async def test_checksum(steps: Steps) -> None:
    steps.see("printf abc > '/srv/a file'; cd /srv && sha256sum 'a file' > sums")
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    given = {"path": "/srv/a file", "sha256": wanted, "sumFile": "/srv/sums"}
    assert await steps.outputs("files/checksum@1", **given) == {"sha256": wanted, "size": 3}
    assert "and not" in await steps.refuses("files/checksum@1", path="/srv/a file", sha256="0" * 64)
    steps.see("echo more >> '/srv/a file'")
    assert "says ba78" in await steps.refuses("files/checksum@1", path="/srv/a file", sumFile="/srv/sums")


async def test_prune(steps: Steps) -> None:
    steps.see(
        'mkdir -p /srv/old/in; cd /srv/old; for n in 1 2 3 4 5; do printf 12345 > "b $n.gz"; '
        'touch -d "$((n * 10)) days ago" "b $n.gz"; done; touch -d "90 days ago" other in/b9.gz'
    )
    given = {"folder": "/srv/old", "match": "b*.gz"}
    dry = await steps.outputs("files/prune@1", **given, olderThanDays=25, keepNewest=3, dryRun=True)
    assert dry == {"removed": 2, "kept": 3, "freed": 10, "changed": False}
    assert (await steps.outputs("files/prune@1", **given, olderThanDays=25, keepNewest=3))["removed"] == 2
    assert (await steps.outputs("files/prune@1", **given, olderThanDays=25))["removed"] == 1
    assert (await steps.outputs("files/prune@1", **given, keepNewest=1))["changed"] is True
    assert steps.see("cd /srv/old; find . -type f | sort") == "./b 1.gz\n./in/b9.gz\n./other\n"
    assert "it needs" in await steps.refuses("files/prune@1", **given)


async def test_sync(steps: Steps) -> None:
    steps.see(
        "mkdir -p '/srv/from here' /srv/to; cd '/srv/from here'; "
        "echo a > a; echo b > 'b c'; echo t > t.tmp; echo x > /srv/to/x"
    )
    given = {"source": "/srv/from here", "destination": "/srv/to", "exclude": ["*.tmp"]}
    assert (await steps.outputs("files/sync@1", **given, dryRun=True))["changed"] is False
    await steps.changes("files/sync@1", **given)
    assert steps.see("ls /srv/to") == "a\nb c\nx\n"
    await steps.changes("files/sync@1", **given, delete=True)
    assert steps.see("ls /srv/to") == "a\nb c\n"


# --- network ---------------------------------------------------------------------------------------------------------


async def test_ping(steps: Steps) -> None:
    done = await steps.outputs("network/ping@1", host="127.0.0.1", count=2)
    assert done["lossPercent"] == 0
    assert done["averageMs"] > 0
    assert "could not be asked" in await steps.refuses("network/ping@1", host="no-such-host.invalid")


async def test_port(steps: Steps) -> None:
    here = steps.server.port
    assert await steps.outputs("network/port@1", host="127.0.0.1", port=here) == {"open": True}
    closed = free_port()
    assert await steps.outputs("network/port@1", host="127.0.0.1", port=closed, state="closed") == {"open": False}
    assert "is closed" in await steps.refuses("network/port@1", host="127.0.0.1", port=closed)
    assert "is open" in await steps.refuses("network/port@1", host="127.0.0.1", port=here, state="closed")


async def test_dns(steps: Steps) -> None:
    steps.see("echo '192.0.2.7 one.example two.example' >> /etc/hosts")
    assert await steps.outputs("network/dns@1", name="two.example", family="ipv4") == {"addresses": ["192.0.2.7"]}
    assert "not 192.0.2.8" in await steps.refuses("network/dns@1", name="one.example", expect="192.0.2.8")
    assert "no address" in await steps.refuses("network/dns@1", name="no-such-host.invalid")


async def test_http(steps: Steps, web: HttpServer) -> None:
    done = await steps.outputs("network/http@1", url=f"{web.url}/x?a=$(b)", contains='"GET"')
    assert done["status"] == 200
    assert done["size"] > 0
    assert (await steps.outputs("network/http@1", url=f"{web.url}/status/503", status=503))["status"] == 503
    assert "answered 500" in await steps.refuses("network/http@1", url=f"{web.url}/status/500")
    assert "does not hold" in await steps.refuses("network/http@1", url=f"{web.url}/x", contains="nothing")
    assert "no answer" in await steps.refuses("network/http@1", url=f"{web.url}/hang", seconds=1)


async def test_tls(steps: Steps, tmp_path: Path) -> None:
    """The certificates of the tests are good for an hour; a longer one is made by openssl."""
    made = tmp_path / "made.pem"
    made.write_text(Authority.made().signed("127.0.0.1"))
    steps.see(
        "openssl req -x509 -newkey ed25519 -nodes -days 40 -subj /CN=x -keyout /srv/tls-k -out /srv/tls-c 2>/dev/null"
    )
    long = tmp_path / "long.pem"
    long.write_text(steps.see("cat /srv/tls-c /srv/tls-k"))
    for file, minimum in ((made, 0), (long, 30)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        async with serving(context) as server:
            at = {"host": "127.0.0.1", "port": server.port}
            done = await steps.outputs("network/tls@1", **at, minDays=minimum)
            assert done["daysLeft"] == (0 if minimum == 0 else 39)
            assert done["notAfter"].endswith("GMT")
            assert "ends in" in await steps.refuses("network/tls@1", **at, minDays=minimum + 10)
    assert "no certificate" in await steps.refuses("network/tls@1", host="127.0.0.1", port=steps.server.port)


async def test_traceroute(steps: Steps) -> None:
    assert await steps.outputs("network/traceroute@1", host="127.0.0.1") == {"hops": 1, "way": ["127.0.0.1"]}
    assert "cannot be looked for" in await steps.refuses("network/traceroute@1", host="no-such-host.invalid")


# --- databases -------------------------------------------------------------------------------------------------------


async def test_sqlite(steps: Steps) -> None:
    steps.see("sqlite3 /srv/shop.db 'pragma journal_mode = wal; create table t (n); insert into t values (1), (2)'")
    given = {"database": "/srv/shop.db", "file": "/srv/copy of shop.db"}
    done = await steps.outputs("databases/sqlite-dump@1", **given)
    assert done["size"] > 0
    steps.see("sqlite3 /srv/shop.db 'delete from t; create table u (n)'")
    assert await steps.outputs("databases/sqlite-restore@1", **given) == {"tables": 1}
    assert steps.see("sqlite3 /srv/shop.db 'select count(*) from t'") == "2\n"
    steps.see("echo nonsense > /srv/broken.db")
    assert "damaged" in await steps.refuses("databases/sqlite-restore@1", **{**given, "file": "/srv/broken.db"})
    assert steps.see("sqlite3 /srv/shop.db 'select count(*) from t'") == "2\n"


async def test_postgresql(steps: Steps) -> None:
    """A server of the host's own, on a socket and on loopback, that asks for a password there."""
    port = free_port()
    steps.see(
        "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1); rm -rf /srv/pg; install -d -o postgres -m 700 /srv/pg; "
        "echo s3cret > /srv/pw; chmod 644 /srv/pw; "
        'su postgres -c "$bin/initdb -D /srv/pg/data --auth-local=trust --auth-host=scram-sha-256 --pwfile=/srv/pw"; '
        f"su postgres -c \"$bin/pg_ctl -D /srv/pg/data -o '-p {port} -k /srv/pg -h 127.0.0.1' -l /srv/pg/log "
        '-w start"; '
        f"su postgres -c \"psql -h /srv/pg -p {port} -c 'create database shop'\"; "
        f"su postgres -c \"psql -h /srv/pg -p {port} -d shop -c 'create table t (n int); insert into t values (7)'\""
    )
    there = {"database": "shop", "port": port, "user": "postgres", "file": "/srv/shop.dump"}
    done = await steps.outputs("databases/postgresql-dump@1", **there, host="/srv/pg")
    assert done["size"] > 0
    steps.see(f"psql -h /srv/pg -p {port} -U postgres -d shop -c 'delete from t'")
    step = await steps.run(
        "databases/postgresql-restore@1",
        secrets={"pg": "s3cret"},
        **there,
        host="127.0.0.1",
        password='${{ secrets["pg"].token }}',
        clean=True,
    )
    assert (step.state, step.outputs) == (StepState.SUCCEEDED, {"tables": 1}), step.stderr_tail
    assert steps.see(f"psql -h /srv/pg -p {port} -U postgres -d shop -Atc 'select n from t'") == "7\n"
    assert "password" in await steps.refuses("databases/postgresql-dump@1", **there, host="127.0.0.1")
    steps.see('su postgres -c "$(ls -d /usr/lib/postgresql/*/bin | tail -1)/pg_ctl -D /srv/pg/data -m fast stop"')


async def test_mysql(steps: Steps) -> None:
    """By MariaDB's server and tools; MySQL's own are not on this machine."""
    port = free_port()
    steps.see(
        "rm -rf /srv/my; install -d -o mysql -m 755 /srv/my; "
        "mariadb-install-db --datadir=/srv/my/data --user=mysql --auth-root-authentication-method=socket >/dev/null; "
        f"nohup mariadbd --no-defaults --datadir=/srv/my/data --user=mysql --socket=/srv/my/s --port={port} "
        "--bind-address=127.0.0.1 --pid-file=/srv/my/pid >/srv/my/log 2>&1 </dev/null & "
        "until mariadb-admin --socket=/srv/my/s ping >/dev/null 2>&1; do sleep 0.2; done; "
        'mariadb --socket=/srv/my/s -e "create database shop; create table shop.t (n int); '
        "insert into shop.t values (7); "
        "create user b@'127.0.0.1' identified by 's3cret'; grant all on *.* to b@'127.0.0.1'\""
    )
    file = {"database": "shop", "file": "/srv/shop.sql.gz"}
    step = await steps.run(
        "databases/mysql-dump@1",
        secrets={"my": "s3cret"},
        **file,
        host="127.0.0.1",
        port=port,
        user="b",
        password='${{ secrets["my"].token }}',
    )
    assert step.state is StepState.SUCCEEDED, step.stderr_tail
    steps.see("mariadb --socket=/srv/my/s -e 'drop database shop'")
    assert await steps.outputs("databases/mysql-restore@1", **file, host="/srv/my/s", create=True) == {"tables": 1}
    assert steps.see("mariadb --socket=/srv/my/s -Ne 'select n from shop.t'") == "7\n"
    refused = await steps.refuses("databases/mysql-dump@1", **file, host="127.0.0.1", port=port, user="b")
    assert "Access denied" in refused
    steps.see("mariadb-admin --socket=/srv/my/s shutdown")


# --- web-http --------------------------------------------------------------------------------------------------------


async def by_runner(bench: Bench, uses: str, given: str) -> dict[str, object]:
    """The outputs of a step that needs no target."""
    text = f"kind: Job\nmetadata: {{name: j}}\nspec:\n  steps:\n    - {{id: it, uses: {uses}, with: {given}}}\n"
    key = "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n"
    (bench.secrets / "key").write_text("s3cret")
    spec = planned(catalog({}, text, key)).spec
    done = await bench.execute(*spec.steps, credentials=spec.credentials)
    it = done.steps()["it"]
    assert it.state is StepState.SUCCEEDED, it.error
    return dict(it.outputs)


async def test_web_get(bench: Bench, web: HttpServer) -> None:
    """The address and the login stand in the job, so they are its author's though the library hands them on."""
    found = await by_runner(
        bench, "web-http/get@1", f"{{url: '{web.url}/v1', headers: {{X-A: b}}, credentialRef: key}}"
    )
    assert found["status"] == 200
    assert found["json"]["path"] == "/v1"  # type: ignore[index]
    assert web.asked[0].headers["authorization"] == "Bearer s3cret"
    assert web.asked[0].headers["x-a"] == "b"


async def test_web_send(bench: Bench, web: HttpServer) -> None:
    found = await by_runner(bench, "web-http/send@1", f"{{url: '{web.url}/v1', json: {{a: [1]}}, method: PUT}}")
    assert found["status"] == 200
    assert (web.asked[0].method, web.asked[0].body) == ("PUT", b'{"a":[1]}')


async def test_web_check(bench: Bench, web: HttpServer) -> None:
    found = await by_runner(bench, "web-http/check@1", f"{{url: '{web.url}/v1', contains: GET}}")
    assert found["status"] == 200


async def test_web_wait(bench: Bench, web: HttpServer) -> None:
    web.statuses = [503, 200]
    assert await by_runner(bench, "web-http/wait@1", f"{{url: '{web.url}/next'}}") == {}
    assert len(web.asked) == 2
