"""From parsed files to a catalog, or to everything that is wrong with them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine import patterns
from engine.catalog import Catalog
from engine.checks import everything, patternsizes, scriptsizes
from engine.checks.doubt import DECIDED_BY_PROJECT, names_of, stands
from engine.checks.files import calendars_of, files_of, templates_of
from engine.checks.memory import remembered
from engine.checks.scope import Scope
from engine.globs import matches
from engine.plugins import knowing_or_told
from engine.spreading import Every, in_turn
from engine.vendored import EVERY_GLOB, NO_LIBRARIES, Vendored, is_apart, libraries_or_told
from schemas.bugs import bug, told
from schemas.diagnostic import Diagnostic, has_errors, in_order
from schemas.envelope import Document
from schemas.project import DEFAULT_INCLUDE, Project
from schemas.reader import ANY_KIND, Authored, ParsedFile, nameless
from schemas.span import start_of

if TYPE_CHECKING:
    from engine.times.calendarfile import CalendarFile

PROJECT_FILE = "opsconductor.yaml"
TEMPLATE_READ = 128 * 1024
"""Bytes of a template of which a commit is still asked whether it can be read."""
TEMPLATES_READ = 4 * 1024 * 1024
"""The same of all templates together, in the order of their paths."""
CALENDAR_READ = 1024 * 1024
"""Bytes of an iCalendar file."""
CALENDARS_READ = 4 * 1024 * 1024
"""The same of all of them together, in the order of their paths."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a commit amounts to. `catalog` is None where an error concerns anything but an act."""

    catalog: Catalog | None
    acts: tuple[Authored, ...]
    findings: tuple[Diagnostic, ...]
    documents: int
    definitions: tuple[Authored, ...] = ()
    """All definitions that are well formed, also where there is no catalog."""
    readable: Catalog | None = field(default=None, repr=False, compare=False)
    """All that is well formed, errors or not: to be looked at, never to be acted on."""
    checked: everything.Checked | None = field(default=None, repr=False, compare=False)
    """For the commit after this one."""
    whole: bool = True
    """Every file that may hold a definition could be read, whatever is wrong with what the definitions say."""
    at_fault: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)
    """By file, the kinds of what it holds or may hold that is not well formed; `ANY_KIND` where that may be any."""
    invalid_acts: tuple[tuple[str, Diagnostic], ...] = ()
    """The acts that are at fault themselves, by the names they give, each with its first error."""

    def refused(self, findings: Iterable[Diagnostic]) -> "Compiled":
        """The same commit, not to be used because of further findings."""
        return replace(self, catalog=None, findings=in_order([*self.findings, *findings]))


def included(paths: Iterable[str], project: Project | None) -> tuple[str, ...]:
    """The files of a tree that hold documents, sorted: those the globs of `include` match, and the Project's own.

    Without a Project that can be read its default globs hold, so that all findings are shown at once.
    """
    return _chosen(tuple(paths), tuple(project.spec.include if project else DEFAULT_INCLUDE))


@lru_cache(maxsize=2)
def _chosen(paths: tuple[str, ...], globs: tuple[str, ...]) -> tuple[str, ...]:
    """Remembered from commit to commit: most change what files hold, and not which there are."""
    chosen = (path for path in paths if path == PROJECT_FILE or any(matches(glob, path) for glob in globs))
    return tuple(sorted(path for path in chosen if not is_apart(path)))


def project_to_read_by(file: ParsedFile | None) -> Project | None:
    """The Project by whose `include` files are read, so that all findings are shown at once.

    It may be at fault elsewhere: then the commit is refused, and nothing else in it may be heeded.
    """
    found = (*file.documents, *file.mended) if file is not None else ()
    readable = (authored.document for authored in found if not authored.is_at_fault("spec", "include"))
    return next((document for document in readable if isinstance(document, Project)), None)


def looked_at(project: Project | None) -> tuple[str, ...]:
    """The globs of everything that is read of a tree: documents, libraries and their lock."""
    return (*(project.spec.include if project else DEFAULT_INCLUDE), *EVERY_GLOB)


@dataclass(frozen=True, slots=True)
class Named:
    """The files of the tree that documents name by their paths from the root: all, and those of which more is read."""

    files: frozenset[str]
    templates: frozenset[str]
    calendars: frozenset[str]
    bugs: tuple[Diagnostic, ...] = ()
    """Where a document could not be asked for what it names; to be said with the findings about the tree."""

    @classmethod
    def together(cls, several: Iterable["Named"]) -> "Named":
        """What is named in any of several files."""
        found = tuple(several)
        return cls(
            frozenset().union(*(one.files for one in found)),
            frozenset().union(*(one.templates for one in found)),
            frozenset().union(*(one.calendars for one in found)),
            tuple(bug for one in found for bug in one.bugs),
        )


def named(files: Iterable[ParsedFile]) -> Named:
    """What documents name; of those at fault, too, but for templates, which nothing renders then."""
    found: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    bugs: list[Diagnostic] = []
    for file in files:
        for documents, sorts in ((file.documents, (0, 1, 2)), (file.mended, (0, 2))):
            for authored in documents:
                # As `schemas.bugs.answered` does it, which costs too much for each document.
                try:
                    names = remembered(authored, "files", (), partial(_named_by, authored.document))
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is said, and the commit refused
                    bugs.append(bug("the check 'files'", authored.span("metadata", "name"), error))
                    continue
                if names is not None:
                    for sort in sorts:
                        found[sort].update(names[sort])
    files_named, templates_named, calendars_named = map(frozenset, found)
    return Named(files_named, templates_named, calendars_named, tuple(bugs))


def _named_by(document: Document) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] | None:
    """The files, templates and calendars that one document names; None, as most do not name any."""
    files = tuple(path for path, _ in files_of(document))
    templates = tuple(templates_of(document))
    return (files, templates, tuple(calendars_of(document))) if files or templates else None


def rendered(paths: Iterable[str], content: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """What the templates hold that steps render; those apart which only a run has the time to read."""
    return _within(paths, content, TEMPLATE_READ, TEMPLATES_READ)


def dated(paths: Iterable[str], content: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """What the iCalendar files hold that calendars name; without those that are too large."""
    return _within(paths, content, CALENDAR_READ, CALENDARS_READ)


def _within(paths: Iterable[str], content: Callable[[str], bytes | None], most: int, together: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = together
    for path in sorted(paths):
        data = content(path)
        if data is not None and len(data) <= min(most, left):
            found[path] = data
            left -= len(data)
    return found


def compile_files(
    commit: str,
    files: Iterable[ParsedFile],
    extra: Iterable[Diagnostic] = (),
    *,
    libraries: Vendored = NO_LIBRARIES,
    present: frozenset[str] | None = None,
    templates: Mapping[str, bytes] = MappingProxyType({}),
    calendar_files: Mapping[str, bytes] | None = None,
    every: Every = in_turn,
    before: Compiled | None = None,
    last: bool = False,
) -> Compiled:
    """Check the documents of a commit as a whole. Same files, same findings, in the same order.

    `extra` are findings about the tree itself (symlinks, odd names); their errors forbid the catalog as well. `present`
    are those of the files `named` that are there; None where nobody has looked. `templates` are those
    `rendered` and `calendar_files` those `dated`, by their paths. `before` is a former commit of the same repository:
    it changes no answer, and saves asking again what it has answered. `last` says that no commit follows.
    """
    parsed, extra = sorted(files, key=lambda file: file.file), tuple(extra)
    plugged = libraries.plugins.step_types
    documents, bugs = knowing_or_told((authored for file in parsed for authored in file.documents), plugged)
    definitions = [authored for authored in documents if not authored.is_act]
    mended, bugs_beside = knowing_or_told((authored for file in parsed for authored in file.mended), plugged)
    acts = tuple(authored for authored in documents if authored.is_act)
    findings = [*extra, *(found for file in parsed for found in file.findings if found not in file.about_acts)]
    about_acts = [found for file in parsed for found in file.about_acts]
    whole = not has_errors(findings)

    unread = {finding.span.file for finding in findings}
    findings += (bug for authored, bug in {**bugs, **bugs_beside}.items() if not authored.is_act)
    seen = _Seen.of(definitions, mended, parsed, unseen=any(map(_hides_documents, extra)))
    catalog = replace(
        _catalog(commit, seen.definitions, seen.project),
        libraries=libraries_or_told(libraries),
        plugged=plugged,
        parts=libraries.plugins.parts,
        calendar_files=_readable(calendar_files or {}),
    )
    unmeasured, too_large = _too_large((*documents, *mended), catalog)
    findings += unmeasured
    if too_large:
        # Nothing else is said of it: each check that follows would do what nobody has the time for.
        return Compiled(
            catalog=None,
            acts=acts,
            findings=_as_told([*findings, *about_acts, *too_large], parsed),
            documents=sum(file.count for file in parsed),
            definitions=tuple(definitions),
            readable=catalog,
            whole=whole,
            at_fault=_at_fault(parsed, extra),
            invalid_acts=_invalid(parsed),
        )
    scope = Scope(
        catalog,
        seen.definitions,
        broken=seen.broken,
        lost_kinds=seen.lost_kinds,
        vendored=libraries,
        files_at_fault=frozenset(file.file for file in parsed if file.findings),
        aside=seen.aside,
        unsettled=seen.unsettled,
        present=present,
        templates=templates,
        calendar_files=calendar_files,
    )
    former = before.checked if before else None
    checked = everything.about_definitions(scope, unread=unread, every=every, before=former, last=last)
    findings += checked.findings
    about_acts += everything.about_acts(
        catalog,
        (*acts, *(authored for authored in mended if authored.is_act)),
        broken=seen.broken,
        lost_kinds=seen.lost_kinds,
        aside=seen.aside,
    )
    patterns.forget()
    # What is mended is there for its findings alone: a commit that has it is refused, whatever else is said.
    sound = not has_errors(findings) and all(authored.is_act for authored in mended)
    return Compiled(
        catalog=replace(catalog, held=checked.held) if sound else None,
        acts=acts,
        findings=_as_told([*findings, *about_acts], parsed),
        documents=sum(file.count for file in parsed),
        definitions=tuple(definitions),
        readable=catalog,
        checked=checked,
        whole=whole,
        at_fault=_at_fault(parsed, extra),
        invalid_acts=_invalid(parsed),
    )


def _too_large(documents: Sequence[Authored], catalog: Catalog) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Bugs of ours that were met in measuring; and with what the documents are too large together to be checked."""
    sizes = patternsizes.measured(documents, catalog.libraries)
    on_windows = any(target.spec.os == "windows" for target in catalog.targets.values())
    measure = partial(scriptsizes.beyond, documents, catalog.libraries, on_windows=on_windows)
    found = [*sizes.bugs, *told("scripts", partial(start_of, PROJECT_FILE), measure)]
    found += [sizes.beyond] if sizes.beyond is not None else []
    return [one for one in found if one.bug], [one for one in found if not one.bug]


def _as_told(findings: Iterable[Diagnostic], files: Iterable[ParsedFile]) -> tuple[Diagnostic, ...]:
    """In the order in which they are told, and without the secrets that they are about."""
    found = in_order(findings)
    return _without_secrets(found, files) if found else ()


def _invalid(files: Iterable[ParsedFile]) -> tuple[tuple[str, Diagnostic], ...]:
    """Of each file in its own order, as they are told."""
    found: list[tuple[str, Diagnostic]] = []
    for file in (file for file in files if file.invalid_acts):
        names, errors = zip(*file.invalid_acts, strict=True)
        found += zip(names, _without_secrets(errors, (file,)), strict=True)
    return tuple(found)


def _without_secrets(findings: tuple[Diagnostic, ...], files: Iterable[ParsedFile]) -> tuple[Diagnostic, ...]:
    from engine.hiding import without_secrets  # most commits have no findings

    return tuple(without_secrets(findings, {file.file: file.source for file in files}))


def _hides_documents(finding: Diagnostic) -> bool:
    """Whether, by a finding about the tree, a file or folder was not read that may hold definitions."""
    return finding.severity == "error" and not finding.bug and not is_apart(finding.span.file)


def _at_fault(files: Iterable[ParsedFile], extra: Iterable[Diagnostic]) -> dict[str, frozenset[str]]:
    found = {file.file: file.broken_kinds | {one.document.kind for one in file.mended} for file in files}
    unseen = {one.span.file: frozenset({ANY_KIND}) for one in extra if one.severity == "error"}
    return {**{file: kinds for file, kinds in found.items() if kinds}, **unseen}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The definitions that checks may rely on, those that are only looked at, and what is known of the rest."""

    definitions: Sequence[Authored]
    aside: Sequence[Authored]
    broken: frozenset[str]
    lost_kinds: frozenset[str]
    project: Project | None
    unsettled: frozenset[str]

    @classmethod
    def of(
        cls, sound: Sequence[Authored], mended: Sequence[Authored], files: Sequence[ParsedFile], *, unseen: bool
    ) -> "_Seen":
        """`unseen`: there are files into which nobody could look, and so documents of any kind and name."""
        upright = [authored for authored in mended if not authored.is_act and stands(authored)]
        aside = [authored for authored in mended if not stands(authored)]
        project, unsettled = _settings(files)
        return cls(
            sorted((*sound, *upright), key=lambda authored: (authored.file, authored.index)) if upright else sound,
            [authored for authored in aside if not authored.is_act],
            frozenset(name for file in files for name in file.broken)
            | {name for authored in aside for name in names_of(authored)}
            | ({nameless(ANY_KIND)} if unseen else set()),
            frozenset(kind for file in files for kind in file.broken_kinds) | ({ANY_KIND} if unseen else set()),
            project,
            unsettled,
        )


def _settings(files: Sequence[ParsedFile]) -> tuple[Project | None, frozenset[str]]:
    """A Project at fault whose defaults hold all the same; and the codes that hang on them where there is none."""
    there = next((file for file in files if file.file == PROJECT_FILE), None)
    if there is None or not there.findings or any(isinstance(one.document, Project) for one in there.documents):
        return None, frozenset()
    whole = (authored for authored in there.mended if not authored.is_at_fault("spec", "defaults"))
    project = next((authored.document for authored in whole if isinstance(authored.document, Project)), None)
    return project, frozenset() if project is not None else DECIDED_BY_PROJECT


def _catalog(commit: str, definitions: Sequence[Authored], project: Project | None) -> Catalog:
    """By kind and name; of two with one identity the first stays (the other is a finding)."""
    origin = {authored.identity: authored for authored in reversed(definitions)}
    kinds: dict[str, dict[str, Any]] = {}
    projects: list[Project] = []
    for authored in origin.values():
        kinds.setdefault(authored.document.kind, {})[authored.document.name] = authored.document
    for authored in definitions:
        if isinstance(authored.document, Project) and authored.file == PROJECT_FILE:
            projects.append(authored.document)

    def named(kind: str) -> Mapping[str, Any]:
        return dict(sorted(kinds.get(kind, {}).items()))

    return Catalog(
        commit=commit,
        project=projects[0] if projects else project or _NO_PROJECT,
        jobs=named("Job"),
        targets=named("Target"),
        groups=named("TargetGroup"),
        credentials=named("Credential"),
        schedules=named("Schedule"),
        pools=named("RunnerPool"),
        workflows=named("Workflow"),
        triggers=named("Trigger"),
        discoveries=named("Discovery"),
        channels=named("NotificationChannel"),
        rules=named("NotificationRule"),
        calendars=named("Calendar"),
        windows=named("Window"),
        policies=named("Policy"),
        users=named("User"),
        origin=origin,
    )


def _readable(files: Mapping[str, bytes]) -> "dict[str, CalendarFile]":
    """Of the others `engine.checks.calendars` says what is wrong with them."""
    if not files:
        return {}
    from engine.times.calendarfile import CalendarFileError  # few have any: rules take long to load
    from engine.times.calendarfile import read as read_calendar

    found: dict[str, CalendarFile] = {}
    for path, data in files.items():
        with suppress(CalendarFileError):
            found[path] = read_calendar(data)
    return found


_NO_PROJECT = Project.model_validate({"apiVersion": "opsconductor/v1", "kind": "Project", "metadata": {"name": "none"}})
