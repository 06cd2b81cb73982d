"""The scripts of a commit that have to be followed: together they may take a bounded time, which is seen before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from engine.checks.scope import Path, steps_of
from engine.checks.scripts import script_of, shell_of
from engine.scripts.binding import MAX_FOLLOWED_TOGETHER, REMEMBERED, SHORT, following, reached
from engine.scripts.posix_shell.variables import STDIN
from engine.vendored import Library
from schemas.act import RunRequest
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document
from schemas.job import Job, Shell, Step
from schemas.library import LibraryStep
from schemas.reader import Authored

TOO_LARGE = (
    f"the scripts that have to be followed have more than {MAX_FOLLOWED_TOGETHER // 1024**2} MiB together; "
    "nothing else is checked until then"
)
SMALLER = (
    "a script without expressions, in it and in its 'env', is not followed: take them out of the large ones, "
    "put those beside the steps of a library, or split the repository"
)


def beyond(
    documents: Sequence[Authored], libraries: Mapping[str, Library], *, on_windows: bool
) -> Iterator[Diagnostic]:
    """The first script with which those of all documents are too large; nothing where none is.

    `on_windows`: there are targets on which a step that names no shell may be run by PowerShell.
    """
    steps = [step for library in libraries.values() for step in (*library.steps.values(), *library.mended)]
    everything = (*documents, *steps)
    files = list(_files(libraries))
    plain = sum(_length(steps) for one in _with_expressions(everything) for steps in _lists(one.document))
    if plain + sum(len(one.text) for one in files) <= MAX_FOLLOWED_TOGETHER:
        return  # as almost always: nobody need ask which of them are followed
    known: set[tuple[str, Shell, tuple[str, ...]]] = set()
    together = 0
    for one in chain(files, _scripts(everything, "powershell" if on_windows else "sh")):
        asked = (one.text, one.shell, one.env)
        if asked in known:
            continue
        if len(one.text) <= SHORT and len(known) < REMEMBERED:
            known.add(asked)
        together += following(one.text, one.shell, of_env=bool(one.env))
        if together > MAX_FOLLOWED_TOGETHER:
            yield Diagnostic(one.authored.span(*one.path), "OC126", TOO_LARGE, SMALLER)
            return


@dataclass(frozen=True, slots=True)
class _Script:
    """`env` are the variables that expressions set and it may read, its input among them, as `evaluated_env` asks."""

    authored: Authored
    path: Path
    text: str
    shell: Shell
    env: tuple[str, ...]


def _files(libraries: Mapping[str, Library]) -> Iterator[_Script]:
    """The scripts that lie beside steps of libraries, which hold no expressions themselves."""
    for library in libraries.values():
        for step in library.steps.values():
            if isinstance(step.document, LibraryStep) and step.document.spec.env:
                spec = step.document.spec
                shell: Shell = spec.shell or ("powershell" if spec.platforms == ("windows",) else "sh")
                text = library.scripts.get(f"steps/{spec.script}", "")
                yield _Script(step, ("spec", "script"), text, shell, _set_in(spec.env, text, shell))


def _scripts(documents: Iterable[Authored], otherwise: Shell) -> Iterator[_Script]:
    for authored in documents:
        outer = authored.document.spec.env if isinstance(authored.document, Job) else {}
        for placed in steps_of(authored):
            given = {**outer, **placed.step.env}
            for path, text in script_of(placed):
                shell = shell_of(placed.step) or otherwise
                env = _set_in(given, text, shell)
                if shell in ("sh", "bash") and "${{" in (placed.step.stdin or ""):
                    env += (STDIN,)
                yield _Script(authored, path, text, shell, env)


def _set_in(env: Mapping[str, object], text: str, shell: Shell) -> tuple[str, ...]:
    """The names that a script may read whose values are, or hold, expressions."""
    names = (name for name, value in env.items() if isinstance(value, str) and "${{" in value)
    return reached(names, text, shell)


def _with_expressions(documents: Iterable[Authored]) -> Iterator[Authored]:
    """Those in files that may have an expression, written as it is or by escapes; most files of many have none."""
    layout, any_there = None, False
    for authored in documents:
        if authored.places.layout is not layout:
            layout = authored.places.layout
            any_there = b"${{" in layout.data or b"\\" in layout.data
        if any_there:
            yield authored


def _lists(document: Document) -> Iterable[Sequence[Step]]:
    match document:
        case Job():
            return document.spec.steps, document.spec.rescue, document.spec.finally_
        case RunRequest() if document.spec.job is not None:
            return (document.spec.job.steps,)
        case LibraryStep() if document.spec.steps is not None:
            return (document.spec.steps,)
    return ()


def _length(steps: Sequence[Step]) -> int:
    """Of all scripts, whatever they hold."""
    return sum(
        len(step.run or "") + (len(str(step.with_.get("run", ""))) if step.with_ else 0) + _length(step.rescue)
        for step in steps
    )
