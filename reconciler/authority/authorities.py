"""What a commit says about who may do what: its Users, its Policies, and the signatures its Project asks for.

Also of a commit whose other documents are at fault: trust goes on from it. What cannot be read there gives nobody
anything: a User without a document has no keys, a Policy that was in force stays, and so does the mode.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from engine.authority.trust import Authority, Mode
from engine.catalog import Catalog
from engine.compile import PROJECT_FILE, included, looked_at
from engine.entries import is_read
from engine.globs import any_may_hold
from reconciler.definitions import Definitions
from reconciler.repository.differences import Differing, TooManyFiles
from reconciler.repository.history import History
from schemas.policy import Policy, User
from schemas.project import Project
from schemas.reader import Authored, ParsedFile

_SOMEWHERE = ""
"""Stands for files that could not be read at all."""
_FURTHEST = 50
"""Commits that are looked at for one that can be read whole."""


@dataclass(frozen=True, slots=True)
class _File:
    """What a file says of people. `faulty`: there is something in it that cannot be read."""

    people: tuple[Authored, ...] = ()
    faulty: bool = False

    @classmethod
    def of(cls, parsed: ParsedFile | None) -> "_File":
        if parsed is None:
            return cls(faulty=True)
        wrong = (one for one in parsed.findings if one.severity == "error" and one not in parsed.about_acts)
        people = tuple(one for one in parsed.documents if isinstance(one.document, User | Policy))
        return cls(people, any(True for _ in wrong))


_PLAIN = _File()


@dataclass(frozen=True, slots=True)
class _Read:
    """`project` is None where it cannot be read, `reading` the one by whose `include` files are read all the same."""

    commit: str
    project: Project | None
    reading: Project | None
    files: Mapping[str, _File]
    """Those that say something of people, or are faulty."""

    @property
    def faulty(self) -> bool:
        return self.project is None or any(file.faulty for file in self.files.values())


class Authorities:
    """Reads what commits say. One caller at a time; a commit after the last that was read costs what differs."""

    def __init__(self, definitions: Definitions, history: History) -> None:
        self._definitions = definitions
        self._history = history
        self._last: _Read | None = None

    def of(self, commit: str, before: Mode, good: Catalog | None) -> Authority:
        """`before` is the mode that holds where the Project cannot be read, `good` the last definitions in force."""
        read = self._read(commit)
        said = _said(read, before)
        if not read.faulty:
            return said
        earlier = self._earlier(commit, good.commit if good is not None else None)
        self._last = read
        held = [one.policies for one in (good, earlier) if one is not None]
        policies = {name: policy for these in (*held, said.policies) for name, policy in these.items()}
        return replace(said, policies=policies, earlier=earlier)

    def asks(self, commit: str) -> Mode | None:
        """The mode that the Project of a commit asks for; None where it cannot be read."""
        project = self._definitions.settings(commit)[0]
        return project.spec.verify.mode if project is not None else None

    def _earlier(self, commit: str, good: str | None) -> Authority | None:
        """What the last commit before this one said that can be read whole; None where that is the one in force."""
        at = commit
        for _ in range(_FURTHEST):
            if at == good or not (parents := self._history.parents(at)):
                return None
            at = parents[0]
            if not (read := self._read(at)).faulty:
                return None if at == good else _said(read, "none")
        return None

    def _read(self, commit: str) -> _Read:
        last = self._last
        if last is None or last.commit != commit:
            self._last = last = (self._edited(last, commit) if last is not None else None) or self._whole(commit)
        return last

    def _whole(self, commit: str) -> _Read:
        parsed, complete = self._definitions.parsed(commit)
        files = _telling((one.file, _File.of(one)) for one in parsed)
        if not complete:
            files[_SOMEWHERE] = _File(faulty=True)
        return _Read(commit, *self._definitions.settings(commit), files)

    def _edited(self, last: _Read, commit: str) -> _Read | None:
        """What was read last, with what differs; None where other files may be meant, or some that are not read."""
        within = partial(any_may_hold, looked_at(last.reading))
        try:
            differing = {one.path: one for one in self._history.differing(last.commit, commit, within)}
        except TooManyFiles:
            return None
        if PROJECT_FILE in differing or _SOMEWHERE in last.files:
            return None
        if any(one.irregular or not is_read(one.path) for one in differing.values()):
            return None
        changed = included(tuple(differing), last.reading)
        kept = {path: file for path, file in last.files.items() if path not in differing}
        return _Read(
            commit,
            last.project,
            last.reading,
            {**kept, **_telling((path, self._file(differing[path])) for path in changed)},
        )

    def _file(self, differing: Differing) -> _File:
        if differing.new is None:
            return _PLAIN
        return _File.of(self._definitions.parsed_file(differing.path, differing.new))


def _said(read: _Read, before: Mode) -> Authority:
    users: dict[str, User] = {}
    policies: dict[str, Policy] = {}
    for path in sorted(read.files):
        for authored in read.files[path].people:
            match authored.document:
                case User() as user:
                    users.setdefault(user.name, user)
                case Policy() as policy:
                    policies.setdefault(policy.name, policy)
    return Authority(read.project.spec.verify.mode if read.project is not None else before, users, policies)


def _telling(files: Iterable[tuple[str, _File]]) -> dict[str, _File]:
    return {path: file for path, file in files if file != _PLAIN}
