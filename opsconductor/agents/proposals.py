"""Changes and requests as proposals: checked against a commit, and written down for a person. Nothing is pushed."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.catalog import Catalog
from engine.changes.plan import plan
from opsconductor import acts
from opsconductor.agents import answer as a
from opsconductor.agents.answer import Data, Found, Long, NoAnswer, Tool
from opsconductor.agents.documents import may_be_shown
from opsconductor.agents.sight import Sight
from opsconductor.authoring import patches
from opsconductor.checking.validation import validate_changed
from opsconductor.plans.planreport import as_text
from opsconductor.report import finding_as_data
from reconciler.repository.objects import Objects
from schemas.diagnostic import Diagnostic, has_errors
from schemas.reader import read

_FILES, _FILE, _TOGETHER = 50, 200_000, 1_000_000
"""Files of a proposal, characters of one, and of all."""
_FINDINGS = 50
_PLAN = 20_000
_PATCH = 60_000
_HORIZON = timedelta(hours=24)
_PART = re.compile(r"[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,100}", re.ASCII)
_BRANCH = re.compile(r"[a-z0-9]([a-z0-9-]|[./](?=[a-z0-9])){0,60}", re.ASCII)


def validate_change(sight: Sight, asked: Data) -> Found:
    base, changes = _changes(sight, asked)
    return Found(_judged(sight, base, changes)[0])


def prepare_change(sight: Sight, asked: Data) -> Found:
    base, changes = _changes(sight, asked)
    message, branch = _line(asked["message"], "message"), asked.get("branch") or _branch(asked["message"])
    if not _BRANCH.fullmatch(branch) or branch.endswith(".lock"):
        raise NoAnswer(
            "invalidArguments", "'branch' is of a-z, 0-9 and - with / or . between, as in agent/fix-rotation"
        )
    patch = patches.patch(changes)
    if not patch:
        raise NoAnswer("invalidArguments", f"nothing differs from commit {base[:12]}")
    if len(patch) > _PATCH:
        raise NoAnswer("tooLarge", f"the patch has more than {_PATCH} characters; propose less at once")
    facts, good = _judged(sight, base, changes)
    commands = patches.commands(patch, base=base, branch=branch, message=message)
    prepared = {"patch": patch, "base": base, "branch": branch, "commands": commands}
    return Found(facts, prepared if good else None)


def prepare_request(sight: Sight, asked: Data) -> Found:
    spec = acts.because(_spec(sight, asked), _line(asked.get("reason", ""), "reason", most=1_000))
    _refuse_plain_secrets(sight, spec)
    about = str(spec.get("jobRef") or spec.get("workflowRef") or spec["action"])
    act = acts.Act("RunRequest", acts.act_name(about, sight.now), spec, acts.words(spec) if _has_words(spec) else ())
    faults = read(act.text.encode(), act.path).findings
    if has_errors(faults):
        raise NoAnswer("invalidArguments", "; ".join(dict.fromkeys(_said(one) for one in faults)))
    prepared = {
        "document": act.text,
        "path": act.path,
        "branch": sight.refs().requests.removeprefix("refs/heads/"),
        "command": act.command if act.words else None,
        "commands": acts.git_commands(act, sight.refs().requests, sight.refs().status),
    }
    return Found({"notes": _notes(sight, spec)}, prepared)


# --- a change ---


def _changes(sight: Sight, asked: Data) -> tuple[str, dict[str, patches.Change]]:
    """The commit that is meant, and each file before and after. Raises NoAnswer for what is not proposed by agents."""
    base, files = sight.commit(asked.get("base")), asked["files"]
    paths = [one["path"] for one in files]
    if len(set(paths)) != len(paths):
        raise NoAnswer("invalidArguments", "each file is named once")
    if sum(len(one["text"] or "") for one in files) > _TOGETHER:
        raise NoAnswer("tooLarge", f"at most {_TOGETHER} characters in all files together")
    objects = Objects(sight.git_dir)
    changes = {one["path"]: _change(objects, base, one["path"], one["text"]) for one in files}
    for path in paths:
        for folder in (path[:at] for at, char in enumerate(path) if char == "/"):
            if folder in changes or (objects.exists(base, folder) and not objects.files(base, folder)):
                raise NoAnswer("invalidArguments", f"{path}: {folder} is no folder")
    return base, changes


def _change(objects: Objects, base: str, path: str, text: str | None) -> patches.Change:
    parts = path.split("/")
    if len(parts) > 16 or not all(_PART.fullmatch(part) for part in parts):
        raise NoAnswer(
            "invalidArguments",
            f"{path}: a path is from the root of the repository, of letters, digits and . _ - @ + with / between; "
            "what begins with a dot belongs to other programs, and is changed by people",
        )
    data = objects.file(base, path)
    if data is None and objects.exists(base, path):
        raise NoAnswer("refused", f"{path}: it is a folder, a link or larger than 1 MiB; a person must change it")
    if data is None and text is None:
        raise NoAnswer("notFound", f"{path}: there is no such file in commit {base[:12]}")
    if data is not None and (why_not := may_be_shown(data, path)) is not None:
        raise NoAnswer("refused", f"{path}: {why_not}; a person must change it")
    if text is not None and not _plain(text):
        raise NoAnswer("invalidArguments", f"{path}: its text holds characters that cannot be seen")
    try:
        return patches.Change(None if data is None else data.decode(), text)
    except UnicodeDecodeError as error:
        raise NoAnswer("refused", f"{path}: it is not text; a person must change it") from error


def _judged(sight: Sight, base: str, changes: Mapping[str, patches.Change]) -> tuple[Data, bool]:
    """The findings and what a merge would change, and whether it would be accepted."""
    before = sight.compiled(base)
    after = validate_changed(
        sight.git_dir, base, {path: None if one.after is None else one.after.encode() for path, one in changes.items()}
    ).compiled
    names = (base, "the proposed change")
    compared = plan(before, after, sight.now.replace(microsecond=0), _HORIZON, names=names, paths=tuple(changes))
    inherited = set(compared.inherited)
    worst = sorted(compared.findings, key=lambda one: (one.severity != "error", one in inherited))
    facts = {
        "base": base,
        "accepted": compared.accepted,
        "findings": [finding_as_data(one) | {"inherited": one in inherited} for one in worst[:_FINDINGS]],
        "moreFindings": max(len(worst) - _FINDINGS, 0),
        "plan": Long(a.cut(as_text(compared), _PLAN)),
    }
    return facts, compared.accepted


def _branch(message: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", message.lower()).strip("-")[:40].strip("-")
    return f"agent/{words or 'change'}"


# --- a request ---


def _spec(sight: Sight, asked: Data) -> acts.Spec:
    action = asked.get("action", "start")
    named = [key for key in ("job", "workflow", "run") if key in asked]
    if len(named) != 1 or (action == "start") != (named != ["run"]):
        raise NoAnswer("invalidArguments", "a start names a job or a workflow; cancel, rerun and resume name a run")
    if unfit := sorted(set(asked) - {"action", "reason", *named} - _FITS[action]):
        raise NoAnswer("invalidArguments", f"{action} takes no {', '.join(unfit)}")
    _check_params(asked.get("params") or {})
    match action:
        case "start":
            spec = _started(sight, asked)
        case "cancel":
            return acts.cancelled(asked["run"])
        case "rerun":
            at, dry = asked.get("at", "original"), asked.get("dryRun", False)
            spec = acts.rerun(
                asked["run"],
                failed_only=asked.get("failedOnly", False),
                from_step=asked.get("fromStep"),
                at=at,
                dry=dry,
            )
        case _:
            spec = acts.resumed(asked["run"], asked.get("fromStep"))
    return spec | ({"limit": {"names": asked["targets"]}} if asked.get("targets") else {})


_FITS = {
    "start": {"params", "targets", "dryRun"},
    "cancel": set[str](),
    "rerun": {"targets", "failedOnly", "fromStep", "at", "dryRun"},
    "resume": {"targets", "fromStep"},
}


def _started(sight: Sight, asked: Data) -> acts.Spec:
    catalog, workflow = sight.readable(sight.head()), "workflow" in asked
    name = asked["workflow"] if workflow else asked["job"]
    if name not in (catalog.workflows if workflow else catalog.jobs):
        kind = "Workflow" if workflow else "Job"
        raise NoAnswer("notFound", f"there is no {kind} {name}; find_documents lists them")
    return acts.started(name, workflow=workflow, params=asked.get("params"), dry=asked.get("dryRun", False))


def _has_words(spec: acts.Spec) -> bool:
    try:
        acts.words(spec)
    except ValueError:
        return False
    return True


def _asked_for(catalog: Catalog, spec: acts.Spec) -> Any:
    return catalog.jobs.get(spec.get("jobRef", "")) or catalog.workflows.get(spec.get("workflowRef", ""))


def _refuse_plain_secrets(sight: Sight, spec: acts.Spec) -> None:
    """The engine would refuse it as well, once it is in the history of git for good."""
    document = _asked_for(sight.readable(sight.head()), spec)
    if document is not None and (plain := acts.plain_secrets(document.spec.params, spec.get("params", {}))):
        raise NoAnswer(
            "invalidArguments",
            f"{', '.join(map(repr, plain))}: a secret never stands in git; "
            "name the Credential that holds it: {credentialRef: NAME, field: FIELD}",
        )


def _notes(sight: Sight, spec: acts.Spec) -> list[str]:
    """What a person should know before pushing it."""
    catalog: Catalog = sight.readable(sight.head())
    document = _asked_for(catalog, spec)
    if document is None:
        return []
    given, known = spec.get("params", {}), document.spec.params
    missing = [
        name
        for name, one in known.items()
        if one.get("required") is True and "default" not in one and name not in given
    ]
    strange = [name for name in given if name not in known]
    return [
        *(f"it asks for the param '{name}', which is not given: it would be refused" for name in missing),
        *(f"it has no param '{name}': it would be refused" for name in strange),
        *([f"it does not run: {held}"] if (held := catalog.held.get(f"{document.kind}/{document.name}")) else []),
    ]


# --- texts of agents ---


def _line(text: str, what: str, most: int = 200) -> str:
    if len(text) > most or (text and not text.isprintable()):
        raise NoAnswer("invalidArguments", f"'{what}' is one line of at most {most} characters that can be seen")
    return text


def _plain(text: str) -> bool:
    return all(char in "\n\t\r" or char.isprintable() for char in text)


def _check_params(value: Any, depth: int = 0) -> None:
    """Raises NoAnswer for texts that would not be shown as they are, and for what is too deep."""
    if depth > 10:
        raise NoAnswer("tooLarge", "params are at most 10 levels deep")
    if isinstance(value, str) and not _plain(value):
        raise NoAnswer("invalidArguments", "params hold characters that cannot be seen")
    for inner in (
        (*value.keys(), *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _check_params(inner, depth + 1)


def _said(found: Diagnostic) -> str:
    return f"{found.message}{f' ({found.hint})' if found.hint else ''}"


_PATH = {"type": "string", "minLength": 1, "maxLength": 300, "description": "From the root of the repository."}
_CHANGE: dict[str, Data] = {
    "files": {
        "type": "array", "minItems": 1, "maxItems": _FILES,
        "description": "The files that change, each with its whole new text.",
        "items": {
            "type": "object", "required": ["path", "text"], "additionalProperties": False,
            "properties": {"path": _PATH, "text": {"type": ["string", "null"], "maxLength": _FILE,
                                                   "description": "null removes the file."}},
        },
    },
    "base": {"type": "string", "pattern": "^[0-9a-f]{7,64}$",
             "description": "The commit that the change is made to; the newest of the branch by default."},
}  # fmt: skip
_JUDGED: dict[str, Data] = {
    "base": a.TEXT,
    "accepted": a.YES,
    "findings": a.ROWS,
    "moreFindings": a.COUNT,
    "plan": a.TEXT,
}
TOOLS = (
    Tool(
        "validate_change", "Check a change", "What a change to files would bring: every finding, and the plan of "
        "what a merge would do in the next day. Nothing is written.", validate_change, _CHANGE, _JUDGED,
        needs=("files",),
    ),
    Tool(
        "prepare_change", "Prepare a change", "A change to files as a patch, with the git commands by which a person "
        "makes a branch of it for review. Nothing is written or pushed; 'prepared' is null where it would be rejected.",
        prepare_change,
        {
            **_CHANGE,
            "message": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Why, in one line."},
            "branch": {"type": "string", "maxLength": 62, "description": "A name for the branch."},
        },
        _JUDGED, needs=("files", "message"),
        prepares={"patch": a.TEXT, "base": a.TEXT, "branch": a.TEXT, "commands": a.TEXT},
    ),
    Tool(
        "prepare_request", "Prepare a request", "A request for a run, its end or its repetition as a document, with "
        "the command that makes it and the git that pushes it, for a person. Nothing is asked of the engine.",
        prepare_request,
        {
            "action": {"enum": ["start", "cancel", "rerun", "resume"], "description": "start by default."},
            "job": a.said(a.NAME, "The job to start."),
            "workflow": a.said(a.NAME, "The workflow to start."),
            "run": a.said(a.RUN, "The whole id of the run to cancel, rerun or resume."),
            "params": {"type": "object", "maxProperties": 50},
            "targets": {"type": "array", "items": a.NAME, "minItems": 1, "maxItems": 100,
                        "description": "Only on these of its targets."},
            "failedOnly": {"type": "boolean", "description": "Of a rerun: only targets that failed."},
            "fromStep": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$", "maxLength": 64},
            "at": {"enum": ["original", "current"], "description": "Of a rerun: its own plan, or today's definitions."},
            "dryRun": {"type": "boolean", "description": "Show what would run, and run nothing."},
            "reason": {"type": "string", "maxLength": 1000, "description": "Why, for the record."},
        },
        {"notes": a.TEXTS},
        prepares={"document": a.TEXT, "path": a.TEXT, "branch": a.TEXT, "command": a.MAYBE, "commands": a.TEXT},
    ),
)  # fmt: skip
