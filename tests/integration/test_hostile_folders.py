"""Steps run as root in a folder of somebody else, who puts links where root is expected to write."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.libraryhost import Steps, host, steps

__all__ = ["host", "steps"]
pytestmark = pytest.mark.slow

AS_THEM = "setpriv --reuid=1000 --regid=1000 --clear-groups"
HOME = "/srv/home"


@pytest.fixture
def theirs(steps: Steps) -> Steps:
    """A host with a folder of user 1000, and with what that user must not reach."""
    steps.see(
        f"rm -rf {HOME} /root/victims; mkdir -p {HOME} /root/victims; chmod 700 /root/victims; chmod 711 /root; "
        f"echo 'theirs' > {HOME}/f; chown -R 1000:1000 {HOME}; "
        "echo secret > /root/victims/f; chmod 600 /root/victims/f"
    )
    return steps


def unharmed(steps: Steps) -> bool:
    said = steps.see("cd /root/victims; ls -A; cat f; stat -c '%a %u' f .")
    return said == "f\nsecret\n600 0\n700 0\n"


@contextmanager
def shim(steps: Steps, name: str, body: str) -> Iterator[None]:
    """A command of the host that does `body` as well; in it `real` is the true one."""
    there = f"/usr/local/bin/{name}"
    steps.see(f"cat > {there} <<'END'\n#!/bin/sh\nreal=/usr/bin/{name}\n{body}\nEND\nchmod +x {there}")
    try:
        yield
    finally:
        steps.see(f"rm {there}")


WRITERS = {
    "line": ("linux-core/line@1", {"path": f"{HOME}/f", "line": "x"}),
    "file": ("linux-core/file@1", {"path": f"{HOME}/f", "content": "x\n"}),
    "link": ("linux-core/file@1", {"path": f"{HOME}/l", "state": "link", "target": "f"}),
    "backup": ("files/backup@1", {"paths": ["/etc/passwd"], "folder": HOME, "name": "etc"}),
    "sqlite": ("databases/sqlite-dump@1", {"database": "/srv/a.sqlite3", "file": f"{HOME}/f"}),
}


@pytest.mark.parametrize("writer", WRITERS)
async def test_links_at_names_that_can_be_guessed_are_not_followed(theirs: Steps, writer: str) -> None:
    theirs.see("rm -f /srv/a.sqlite3; sqlite3 /srv/a.sqlite3 'create table a (b)'")
    links = (
        "import os\n"
        "for n in range(os.getpid(), os.getpid() + 4000):\n"
        "    for name in ('f.opsconductor', 'f.part', 'l.opsconductor'):\n"
        "        os.symlink('/root/victims/f', f'{name}.{n}')"
    )
    theirs.see(f'cd {HOME}; {AS_THEM} python3 -c "{links}"')
    assert theirs.see(f"ls {HOME} | wc -l").strip() == "12001"
    uses, inputs = WRITERS[writer]

    await theirs.outputs(uses, **inputs)

    assert unharmed(theirs)
    assert theirs.see(f"ls -A {HOME} | grep '^.opsconductor' || echo none") == "none\n"


@pytest.mark.parametrize("writer", WRITERS)
async def test_a_folder_that_is_swapped_before_it_is_entered_is_refused(theirs: Steps, writer: str) -> None:
    theirs.see("rm -f /srv/a.sqlite3; sqlite3 /srv/a.sqlite3 'create table a (b)'")
    uses, inputs = WRITERS[writer]
    swap = f'case $made in ./*) {AS_THEM} sh -c "mv $made was; ln -s /root/victims $made" ;; esac'

    with shim(theirs, "mktemp", f'made=$($real "$@")\n{swap}\necho "$made"'):
        said = await theirs.refuses(uses, **inputs)

    assert "somebody else changes" in said
    assert unharmed(theirs)


async def test_a_file_that_becomes_a_link_is_not_changed(theirs: Steps) -> None:
    """Between its opening and a look at it."""
    swap = f'case "$*" in *./f*) {AS_THEM} ln -sf /root/victims/f f ;; esac'
    for writer in (WRITERS["line"], ("linux-core/file@1", {"path": f"{HOME}/f", "mode": "0666"})):
        theirs.see(f"rm -f {HOME}/f; {AS_THEM} touch {HOME}/f")
        with shim(theirs, "stat", f'{swap}\nexec $real "$@"'):
            assert "somebody else changes" in await theirs.refuses(writer[0], **writer[1])
        assert unharmed(theirs)


async def test_a_file_that_keeps_becoming_a_link_leads_nowhere(theirs: Steps) -> None:
    theirs.see(
        f"cat > /srv/swap.sh <<'END'\ncd {HOME}\nwhile [ ! -e stop ]; do ln -sf /root/victims/f f; "
        f"echo a > .f; mv -f .f f; done\nEND\ncd {HOME}; {AS_THEM} sh /srv/swap.sh >/dev/null 2>&1 </dev/null &"
    )
    try:
        for mode in ("0666", "0644", "0606"):
            await theirs.run("linux-core/file@1", path=f"{HOME}/f", mode=mode, owner="1000")
            await theirs.run("linux-core/line@1", path=f"{HOME}/f", line="x")
    finally:
        theirs.see(f"touch {HOME}/stop")
    assert unharmed(theirs)
    assert "secret" not in theirs.see(f"{AS_THEM} cat {HOME}/* 2>/dev/null", check=False)


async def test_a_link_of_somebody_else_leads_to_files_of_theirs_only(theirs: Steps) -> None:
    theirs.see(f"cd {HOME}; {AS_THEM} sh -c 'ln -s f own; ln -s /root/victims/f other; ln -s /root/victims folder'")
    await theirs.changes("linux-core/line@1", path=f"{HOME}/own", line="x")
    assert theirs.see(f"readlink {HOME}/own; cat {HOME}/f") == "f\ntheirs\nx\n"
    assert "name the file itself" in await theirs.refuses("linux-core/line@1", path=f"{HOME}/other", line="x")
    refused = await theirs.refuses("linux-core/file@1", path=f"{HOME}/folder", state="directory", mode="0777")
    assert "name the folder itself" in refused
    assert "is a link" in await theirs.refuses("linux-core/file@1", path=f"{HOME}/other", mode="0666")
    assert unharmed(theirs)
    await theirs.changes("linux-core/file@1", path=f"{HOME}/other", content="new\n")
    assert theirs.see(f"cat {HOME}/other; stat -c %F {HOME}/other") == "new\nregular file\n"
    assert unharmed(theirs)


@pytest.mark.parametrize("tool", ["setpriv", "su"])
async def test_keys_are_written_as_the_user_whose_they_are(theirs: Steps, tool: str) -> None:
    """The folder becomes a link right before they are put there."""
    theirs.see("userdel -r eve 2>/dev/null; useradd --create-home eve; install -d -o eve -g eve -m 700 ~eve/.ssh")
    given = {"name": "eve", "authorizedKeys": ["ssh-ed25519 AAAA evil"]}
    refusing = 'case "$*" in *--reuid*) exit 1 ;; esac' if tool == "su" else ":"
    with shim(theirs, "setpriv", f'{refusing}\nexec $real "$@"'):
        await theirs.changes("linux-core/user@1", **given)
        assert theirs.see("stat -c '%a %U %G' ~eve/.ssh ~eve/.ssh/authorized_keys") == "700 eve eve\n600 eve eve\n"
        swap = 'if [ -d .ssh ]; then made=$($real "$@"); mv .ssh was; ln -s /root/victims .ssh; echo "$made"; exit; fi'
        with shim(theirs, "mktemp", f'{swap}\nexec $real "$@"'):
            await theirs.refuses("linux-core/user@1", name="eve", authorizedKeys=["ssh-ed25519 AAAA other"])
    assert theirs.see("readlink ~eve/.ssh") == "/root/victims\n", "it was swapped"
    assert unharmed(theirs)


async def test_the_keys_of_a_user_whose_home_is_roots(theirs: Steps) -> None:
    theirs.see("userdel web 2>/dev/null; rm -rf /srv/web; mkdir /srv/web; useradd --system --home-dir /srv/web web")
    await theirs.changes("linux-core/user@1", name="web", authorizedKeys=["ssh-ed25519 AAAA one"])
    assert theirs.see("stat -c '%a %U' /srv/web/.ssh /srv/web/.ssh/authorized_keys") == "700 web\n600 web\n"
    theirs.see("chown root /srv/web/.ssh")
    await theirs.changes("linux-core/user@1", name="web", authorizedKeys=["ssh-ed25519 AAAA two"])
    assert theirs.see("cat /srv/web/.ssh/authorized_keys; stat -c %U /srv/web/.ssh/authorized_keys") == (
        "ssh-ed25519 AAAA two\nweb\n"
    )
