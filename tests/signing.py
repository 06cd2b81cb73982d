"""Repositories with signed commits: real keys, real git, real ssh-keygen and gpg."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

_IDENTITY = {f"GIT_{who}_{what}": "ana@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def ran(*argv: object, env: Mapping[str, str] | None = None, data: bytes = b"") -> bytes:
    """What a program says, which must succeed."""
    done = subprocess.run([str(one) for one in argv], input=data, capture_output=True, env=env, check=False)
    assert done.returncode == 0, (argv, done.stderr.decode(errors="replace"))
    return done.stdout


@dataclass(frozen=True)
class SshKey:
    """A key pair on the disk."""

    path: Path

    @property
    def public(self) -> str:
        """Type and base64."""
        return " ".join((self.path.parent / f"{self.path.name}.pub").read_text().split()[:2])


@dataclass
class Keys:
    """Makes keys in a folder, each once a name."""

    folder: Path

    def ssh(self, name: str) -> SshKey:
        path = self.folder / name
        if not path.exists():
            ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path)
        return SshKey(path)

    def certified(self, name: str, by: SshKey, principals: str, validity: str = "20200101:20400101") -> Path:
        """The certificate of a key: what git signs with."""
        key = self.ssh(name)
        ran("ssh-keygen", "-q", "-s", by.path, "-I", name, "-n", principals, "-V", validity, f"{key.path}.pub")
        return self.folder / f"{name}-cert.pub"


@dataclass
class Gpg:
    """A person's GnuPG home."""

    home: Path

    def __post_init__(self) -> None:
        self.home.mkdir(mode=0o700, parents=True)

    def call(self, *arguments: str, data: bytes = b"") -> bytes:
        options = ("--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "")
        return ran("gpg", "--homedir", self.home, *options, *arguments, data=data)

    def key(self, name: str, *, at: str | None = None, lives: str = "never") -> str:
        """The fingerprint of a new key; `at` is when it was made, as 20200101T000000."""
        faked = ("--faked-system-time", at) if at else ()
        self.call(*faked, "--quick-gen-key", name, "ed25519", "sign", lives)
        listed = self.call("--with-colons", "--list-keys", name).decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def exported(self, file: Path) -> Path:
        file.write_bytes(self.call("--armor", "--export"))
        return file

    def stop(self) -> None:
        """End the agent that gpg started."""
        ran("gpgconf", "--homedir", self.home, "--kill", "all")


@dataclass
class Repository:
    """A bare repository that is written by plumbing."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, path: Path) -> "Repository":
        ran("git", "init", "-q", "--bare", "-b", "main", path)
        home = {"HOME": str(path.parent), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        return cls(path, {"PATH": os.environ["PATH"], **home, **_IDENTITY})

    def git(self, *arguments: object, data: bytes = b"", **env: str) -> str:
        return ran("git", "-C", self.path, *arguments, data=data, env={**self.env, **env}).decode().strip()

    def tree(self, files: Mapping[str, str], base: str | None = None) -> str:
        """The tree of a commit with these files written; "" removes one."""
        env = {"GIT_INDEX_FILE": str(self.path / "index-of-test")}
        (self.path / "index-of-test").unlink(missing_ok=True)
        if base is not None:
            self.git("read-tree", base, **env)
        for path, text in files.items():
            if text:
                blob = self.git("hash-object", "-w", "--stdin", data=dedent(text).encode())
                self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **env)
            else:
                self.git("update-index", "--index-info", data=f"0 {'0' * 40}\t{path}\n".encode(), **env)
        return self.git("write-tree", **env)

    def commit(
        self,
        files: Mapping[str, str],
        *parents: str,
        by: SshKey | Path | str | None = None,
        gnupg: Gpg | None = None,
        at: str | None = None,
        tree: str | None = None,
        who: str = "ana@example.org",
        message: str = "change",
    ) -> str:
        """A commit on top of its parents. `by` signs it: a key, a certificate, or an OpenPGP fingerprint. `at` is when,
        as it claims; `who` the committer's address, as it claims."""
        base = parents[0] if parents else None
        written = tree or self.tree(files, base)
        env = {"GIT_COMMITTER_EMAIL": who, "GIT_AUTHOR_EMAIL": who}
        if at is not None:
            env |= {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        settings: Sequence[object] = ()
        if isinstance(by, SshKey | Path):
            key = by.path if isinstance(by, SshKey) else by
            settings = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}")
        elif by is not None:
            assert gnupg is not None
            env |= {"GNUPGHOME": str(gnupg.home)}
            settings = ("-c", "gpg.format=openpgp", "-c", f"user.signingkey={by}")
        sign = ("-S",) if by is not None else ()
        on = [word for parent in parents for word in ("-p", parent)]
        return self.git(*settings, "commit-tree", written, *on, *sign, "-m", message, **env)

    def raw(self, commit: str) -> bytes:
        return ran("git", "-C", self.path, "cat-file", "commit", commit, env=self.env)

    def stored(self, raw: bytes) -> str:
        """A commit object with exactly these bytes."""
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
