"""The one place that runs the git program: fixed arguments, a clean environment, limits, and words for its errors.

Git is run for fetch, list, push and repack. Trees, blobs and commits are read and written by pygit2
(`reconciler.repository.objects`, `reconciler.publication.publish`). What a stranger could put into a repository, a ref
or an address never becomes an option, a hook, a helper program or a prompt (DESIGN 3).
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from journal.errors import Refused, Unavailable
from reconciler.repository.source import Login, redacted

LIMIT = timedelta(minutes=5)
OUTPUT_CAP = 32 * 1024 * 1024
ERROR_CAP = 64 * 1024
SOON = timedelta(seconds=10)
LATER = timedelta(seconds=30)
_END = timedelta(seconds=2)
_TOKEN_LENGTH = 8
"""A shorter user is a name such as git, a word of git's own messages."""

# How a remote is reached and whom TLS trusts is the operator's, as in ~/.gitconfig. All other GIT_* go: they redirect
# git to another repository, add configuration, switch checks off, or start programs.
_KEPT = frozenset(
    {
        "GIT_SSH_COMMAND",
        "GIT_SSH",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_PROXY_SSL_CAINFO",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
    }
)
# Nobody sits at a terminal: a question must fail at once, never wait. LC_ALL fixes the words that `explain` reads.
_FIXED_ENVIRONMENT = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_FIXED_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "push.recurseSubmodules=no",
    "push.followTags=false",
    "push.gpgSign=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "protocol.file.allow=always",
    "protocol.ssh.allow=always",
    "protocol.https.allow=always",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "gc.auto=0",
    "maintenance.auto=false",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """What git said. `stderr` holds the end of it, at most 64 KiB."""

    code: int
    stdout: str
    stderr: str


class Broken(Unavailable):
    """The mirror's own files are damaged; it is made again at the next call, so coming back helps."""


class Locked(Exception):  # noqa: N818 - named after what is the case
    """A lock file stands in the way: another git is at work, or one was killed."""


class RefMissing(Exception):  # noqa: N818
    """The remote does not have a ref that was asked for."""


def environment_for_git(inherited: Mapping[str, str], login: Login | None = None) -> dict[str, str]:
    """What git inherits: no GIT_* that lead elsewhere, none of our own settings and secrets, nothing that prompts."""
    kept = {
        name: value
        for name, value in inherited.items()
        if (not name.startswith("GIT_") or name in _KEPT)
        and not name.startswith("OPSCONDUCTOR_")
        and name != "SSH_ASKPASS"
    }
    return kept | _FIXED_ENVIRONMENT | ({} if login is None else _handed(login))


def _handed(login: Login) -> dict[str, str]:
    """The environment can be read by this user only, an argument list by every user of the machine."""
    if login.password is not None:
        return {"OC_GIT_USER": login.user, "OC_GIT_PASSWORD": login.password}
    return {
        "OC_GIT_USER": login.user,
        "OC_GIT_PASSWORD": "",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.username",
        "GIT_CONFIG_VALUE_0": login.user,
    }


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git. One instance serves many calls at once; each runs in a process group of its own.

    `held` is a descriptor every git process inherits: while any of them lives, the lock on it is held, which tells the
    next engine whether a lock file in the mirror has an owner (see `reconciler.repository.mirrorcopy`).
    """

    environment: Mapping[str, str]
    login: Login | None = None
    limit: timedelta = LIMIT
    held: int | None = None
    program: str = "git"
    output_cap: int = OUTPUT_CAP

    async def run(
        self, *arguments: str, directory: Path, settings: tuple[str, ...] = (), limit: timedelta | None = None
    ) -> Finished:
        """One git command in the bare repository `directory`; any exit code is an answer.

        Raises Unavailable when it takes longer than the limit (the whole process group is ended first), Refused when
        git is not installed or answers more than the cap. A cancelled call ends the process group as well.
        """
        process = await _unless_cancelled(self._start(self._argv(directory, settings, arguments), directory))
        allowed = limit or self.limit
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(allowed.total_seconds()):
                stdout, stderr = await asyncio.gather(
                    _whole(process.stdout, self.output_cap), _end_of(process.stderr, ERROR_CAP)
                )
                code = await process.wait()
        except TimeoutError as error:
            seconds = round(allowed.total_seconds())
            raise Unavailable(f"git {arguments[0]} took longer than {seconds} s and was stopped", LATER) from error
        except _TooMuch as error:
            raise Refused(f"git {arguments[0]} answered more than {self.output_cap} bytes and was stopped") from error
        finally:
            await asyncio.shield(_ended(process))
        return Finished(code, stdout.decode(errors="surrogateescape"), self._redacted(stderr.decode(errors="replace")))

    def _argv(self, directory: Path, settings: tuple[str, ...], arguments: tuple[str, ...]) -> list[str]:
        chosen = (*_FIXED_SETTINGS, *settings)
        if self.login is not None:
            script = 'test "$1" = get && printf "username=%s\\npassword=%s\\n" "$OC_GIT_USER" "$OC_GIT_PASSWORD"'
            # Of a user alone the operator's helpers may know the password. Ours comes after them: a token needs none.
            others = () if self.login.password is None else ("credential.helper=",)
            chosen = (*chosen, *others, f"credential.helper=!f() {{ {script}; }}; f")
        pairs = [part for setting in chosen for part in ("-c", setting)]
        return [self.program, f"--git-dir={directory}", "--no-pager", "--literal-pathspecs", *pairs, *arguments]

    async def _start(self, argv: list[str], directory: Path) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *argv,
                cwd=directory.parent,
                env=environment_for_git(self.environment, self.login),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=() if self.held is None else (self.held,),
            )
        except FileNotFoundError as error:
            if not directory.parent.is_dir():
                raise Unavailable(f"the folder {directory.parent} is gone", LATER) from error
            raise Refused("the git program was not found; install git 2.34 or newer") from error
        except OSError as error:
            raise Unavailable(f"git could not be started: {error.strerror}", LATER) from error

    def _redacted(self, text: str) -> str:
        if self.login is not None and self.login.password:
            text = text.replace(self.login.password, "***")
        if self.login is not None and self.login.shown == "***" and len(self.login.user) >= _TOKEN_LENGTH:
            text = text.replace(self.login.user, "***")
        return redacted(text)


async def _unless_cancelled(start: Coroutine[Any, Any, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """The started process; a cancelled start ends the whole group, of which asyncio would end git alone."""
    starting = asyncio.create_task(start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.shield(_ended_once_started(starting))
        raise


async def _ended_once_started(starting: asyncio.Task[asyncio.subprocess.Process]) -> None:
    with contextlib.suppress(Refused, Unavailable):
        await _ended(await starting)


class _TooMuch(Exception):  # noqa: N818
    pass


async def _whole(stream: asyncio.StreamReader, cap: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(65536):
        size += len(part)
        if size > cap:
            raise _TooMuch
        parts.append(part)
    return b"".join(parts)


async def _end_of(stream: asyncio.StreamReader, cap: int) -> bytes:
    kept = b""
    while part := await stream.read(65536):
        kept = (kept + part)[-cap:]
    return kept


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nobody of the process group is left running after a limit, a cancellation or an error."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):  # on TERM git removes its lock files and half-written packs
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END.total_seconds())
            break
    with contextlib.suppress(ProcessLookupError):  # a child of git that outlived it
        os.killpg(process.pid, signal.SIGKILL)


Trouble = Unavailable | Refused | Broken | Locked | RefMissing

# What git says (LC_ALL=C), whether waiting helps, and what we say. First match wins; `{where}` is the source.
_NETWORK = (
    r"could not resolve host(name)?|name or service not known|temporary failure in name resolution",
    r"connection (refused|timed out|reset|closed)|operation timed out|network is unreachable|no route to host",
    r"failed to connect to|couldn't connect to server|remote end hung up|early eof|rpc failed|unexpected disconnect",
    r"returned error: (5\d\d|429)|operation too slow|gnutls_handshake|empty reply from server|http/2 stream",
    r"kex_exchange_identification|broken pipe|software caused connection abort|ssh: connect to host",
)
_UNAVAILABLE = (
    (
        r"no space left on device|disk quota exceeded",
        "the disk is full that holds {directory} ({detail}); free some space",
    ),
    ("|".join(_NETWORK), "{where} cannot be reached: {detail}"),
)
_REFUSED = (
    (
        r"detected dubious ownership",
        "git does not read {where} because another user owns it; run as that user, or allow it with "
        "`git config --global --add safe.directory PATH`",
    ),
    (
        r"host key verification failed|remote host identification has changed|no matching host key",
        "the host key of {where} is not known or has changed; check it, then add it to known_hosts of this user",
    ),
    (
        r"permission denied \(|too many authentication failures|no supported authentication methods",
        "{where} does not accept this user's ssh key; add the public key there, or set core.sshCommand in the git "
        "configuration of this user",
    ),
    (
        r"authentication failed|could not read (username|password)|terminal prompts disabled|returned error: 401",
        "{where} asks for a login; give this user a credential helper, or a token with access",
    ),
    (
        r"returned error: 403|access denied|not allowed to|permission to .* denied|insufficient permission",
        "{where} gives this user no permission ({detail}); grant it, or use another key or token",
    ),
    (
        r"ssl certificate|certificate verif|unable to get local issuer|self.signed certificate|no alternative cert",
        "the TLS certificate of {where} is not trusted ({detail}); set http.sslCAInfo in the git configuration of this "
        "user to the CA that signed it",
    ),
    (
        r"does not appear to be a git repository|repository .*not found|returned error: 404|not a git repository"
        r"|project you were looking for could not be found|repository does not exist",
        "there is no git repository at {where}, or this user may not see it; check the address",
    ),
    (r"mismatched algorithms", "{where} uses SHA-256 object names, which are not supported; use a SHA-1 repository"),
    (
        r"shallow update not allowed|source repository is shallow",
        "{where} is a shallow clone; complete it with `git fetch --unshallow` there",
    ),
    (
        r"fsck error|badTree|contains zero-padded|: fsck",
        "{where} holds an object that git's checks refuse ({detail}); repair its history, or allow that one finding "
        "with fetch.fsck.<name>=warn in the git configuration of this user",
    ),
    (r"bad config", "git cannot read its own configuration: {detail}; correct that file"),
    (r"transport '.*' not allowed|unable to find remote helper", "{where} needs a protocol that is not allowed here"),
    (r"cannot run ssh|ssh: not found|ssh: no such file", "the ssh program was not found; install the OpenSSH client"),
    (r"permission denied", "this user may not read or write {where} ({detail}); change its permissions"),
)
_BROKEN = (  # in the source itself it says the same; a new mirror that does not help tells them apart
    r"object file .* is empty|loose object .* (is )?corrupt"
    r"|unable to (read|parse|unpack) (tree|object|commit|[0-9a-f]{40})"
    r"|bad (tree )?object|inflate: |packfile .* (corrupt|does not match|cannot be)|missing (blob|tree|commit)"
    r"|index file .* (too small|corrupt)|non-monotonic index|not a valid object|did not send all necessary"
    r"|src refspec .* does not match any|invalid sha1 pointer|bad revision|could not parse object"
)


def explain(doing: str, stderr: str, where: str, directory: Path) -> Trouble:
    """The exception for a failed git command: comes back later, waits for a human, or is ours to mend."""
    said = stderr.lower()
    detail = _detail(stderr)
    ours = str(directory).lower()
    if f"not a git repository: '{ours}'" in said or re.search(rf"bad config.*{re.escape(ours)}|{_BROKEN}", said):
        return Broken(detail)
    if re.search(r"unable to create '.*\.lock'|another git process", said):
        return Locked(detail)
    if re.search(r"couldn't find remote ref|could not find remote ref", said):
        return RefMissing(detail)
    for pattern, message in _UNAVAILABLE:
        if re.search(pattern, said):
            return Unavailable(f"{doing}: " + message.format(where=where, detail=detail, directory=directory), SOON)
    for pattern, message in _REFUSED:
        if re.search(pattern, said):
            return Refused(f"{doing}: " + message.format(where=where, detail=detail))
    return Unavailable(f"{doing} failed at {where}: {detail}", LATER)


def _detail(stderr: str) -> str:
    """The line of git's complaint that says most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(?i)(remote: )?(fatal|error|ssh|unable)\b", line)] or lines
    dull = re.compile(r"(?i)could not read from remote repository|the remote end hung up|please make sure")
    chosen = next((line for line in telling if not dull.search(line)), telling[0] if telling else "git gave no reason")
    return re.sub(r"^(?i:remote: )?(?i:fatal|error): ", "", chosen)[:300]
