"""Whom the settings trust: the trust file as it lies on the disk now, with the files that it names."""

import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from engine.authority import trustfile
from engine.authority.trustfile import Forge, Signer, TrustFile, TrustFileError
from reconciler.authority.signingprograms import TrustUnavailable, gpg

_MOST_BYTES = 4 * 1024 * 1024
_OTHERS_MAY_WRITE = 0o002


@dataclass(frozen=True)
class Keys:
    """What the trust file says. Without a trust file, nothing."""

    file: TrustFile = field(default_factory=TrustFile)
    revocations: tuple[Path, ...] = ()
    """Lists of revoked keys, as `ssh-keygen -Y verify -r` reads them."""
    openpgp_home: Path | None = None
    """A home for gpg that holds the file's keys and no others."""
    lasts: "tempfile.TemporaryDirectory[str] | None" = field(default=None, repr=False, compare=False)
    """What keeps that home: whoever still asks gpg by keys that were read before must not have it taken away."""

    @cached_property
    def by_ssh_key(self) -> Mapping[str, tuple[Signer | Forge, ...]]:
        """The lines of each key."""
        found: dict[str, tuple[Signer | Forge, ...]] = {}
        lines: tuple[Signer | Forge, ...] = (*self.file.forges, *self.file.signers)
        for one in lines:
            if one.key is not None:
                found[one.key] = (*found.get(one.key, ()), one)
        return found


class KeyFiles:
    """Reads the trust file, again when it was written. In any thread.

    `folder` is the engine's own; what is written there is nobody else's to read.
    """

    def __init__(self, file: Path | None, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self._turn = threading.Lock()
        self._loaded: tuple[object, Keys] | None = None

    def stamp(self) -> object:
        """Changes when the trust file, or one that it names, is written."""
        if self.file is None:
            return None
        loaded = self._loaded
        named = loaded[1].file if loaded is not None else TrustFile()
        return (_stamp(self.file), *self._stamps(named))

    def keys(self) -> Keys:
        """The trust file as it is now. Raises TrustUnavailable where it cannot be read, or not understood."""
        if self.file is None:
            return Keys()
        with self._turn:
            if self._loaded is not None and self._loaded[0] == self.stamp():
                return self._loaded[1]
            self._loaded = None
            # The stamps are from before anything is read: what is written meanwhile is read again the next time.
            own = _stamp(self.file)
            found = _parsed(self.file)
            beside = self._stamps(found)
            keys = self._read(self.file, found)
            self._loaded = ((own, *beside), keys)
            return keys

    def room(self) -> "tempfile.TemporaryDirectory[str]":
        """A folder for what a program is shown. Raises TrustUnavailable where it cannot be made."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(dir=self.folder)
        except OSError as error:
            raise TrustUnavailable(f"{self.folder} cannot be written: {error.strerror or error}") from error

    def _beside(self, name: str) -> Path:
        assert self.file is not None
        return self.file.parent / name

    def _stamps(self, named: TrustFile) -> tuple[object, ...]:
        return tuple(_stamp(self._beside(name)) for name in (*named.revocation_files, *named.openpgp_files))

    def _read(self, file: Path, found: TrustFile) -> Keys:
        revocations = tuple(self._beside(name) for name in found.revocation_files)
        for path in revocations:
            _content(path)
        keyrings = [_content(self._beside(name)) for name in found.openpgp_files]
        if not found.openpgp and all(one.fingerprint is None for one in found.forges):
            return Keys(found, revocations)
        if not keyrings:
            raise TrustUnavailable(
                f"the trust file {file} names OpenPGP keys; add '@openpgp-keys FILE' with those keys"
            )
        room = self.room()
        _import(keyrings, Path(room.name))
        return Keys(found, revocations, Path(room.name), room)


def _parsed(file: Path) -> TrustFile:
    try:
        return trustfile.parse(_content(file).decode())
    except UnicodeDecodeError as error:
        raise TrustUnavailable(f"the trust file {file} is no text") from error
    except TrustFileError as error:
        raise TrustUnavailable(f"the trust file {file}, {error}") from error


def _import(keyrings: Sequence[bytes], home: Path) -> None:
    for number, keyring in enumerate(keyrings):
        path = home / f"import-{number}"
        try:
            path.write_bytes(keyring)
        except OSError as error:
            raise TrustUnavailable(f"{home} cannot be written: {error.strerror}") from error
        done = gpg(home, "--import", str(path))
        if done.returncode != 0:
            said = done.stderr.strip()[-200:]
            raise TrustUnavailable(f"gpg does not read the OpenPGP keys of the trust file: {said}")


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_mode & _OTHERS_MAY_WRITE:
            raise TrustUnavailable(f"everybody may write {path}, which says whom to trust; chmod o-w it")
        with path.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise TrustUnavailable(f"{path}, which says whom to trust, cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise TrustUnavailable(f"{path}, which says whom to trust, has more than {_MOST_BYTES} bytes")
    return content


def _stamp(path: Path) -> object:
    with suppress(OSError):
        found = path.stat()
        return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
    return None
