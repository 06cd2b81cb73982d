"""`sftp.sync`: a folder of a target becomes like one of the repository.

Each file appears whole; the folder as a whole does not. Links below it are never followed: one in the way of a folder
is refused by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.globs import matches
from engine.runs.outcome import Failed, Outcome
from runners.connections import Session
from runners.connections.files import FileFacts, FileRefused, Files
from runners.repository import Entry, NoFile
from runners.steps import Around, ReadyStep
from runners.steps.filework import Unfit, Values, done, file_of, inputs_of, mode_of
from runners.steps.paths import BadPath, below, checked
from runners.steps.placing import Progress, Wanted, place
from schemas.paths import is_inside

MOST = 20_000
"""Files and folders below the target's folder."""
DEEPEST = 32
_FILE, _PROGRAM, _FOLDER = 0o644, 0o755, 0o755


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync is to bring about."""

    source: str
    root: str
    entries: tuple[Entry, ...]
    exclude: tuple[str, ...]
    delete: bool
    inputs: Mapping[str, Any]

    def leaves_alone(self, path: str) -> bool:
        """Whether a path below the folder is excluded, itself or by a folder above it."""
        parts = path.split("/")
        ways = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return any(matches(glob, way) or matches(f"**/{glob}", way) for glob in self.exclude for way in ways)


@dataclass
class Found:
    """What is below the target's folder, by path."""

    files: dict[str, FileFacts] = field(default_factory=dict)
    folders: dict[str, FileFacts] = field(default_factory=dict)


class Sync:
    """Uploads what differs in content, mode or owner; with `delete` removes what the repository does not have."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            inputs, around = inputs_of(step)
            source = str(inputs["source"]).rstrip("/")
            if not is_inside(source):
                raise Unfit(f"'source': '{source[:200]}' is no path within the repository")
            entries = await around.files.listing(source)
            plan = Plan(
                source,
                checked(inputs["destination"]),
                entries,
                tuple(inputs.get("exclude", ())),
                inputs.get("delete", False),
                inputs,
            )
        except (Unfit, NoFile, BadPath) as error:
            return Failed(str(error), ran=False)

        async def work(files: Files, progress: Progress) -> Values:
            return await _synced(plan, files, around, progress)

        return await done(session, work)


async def _synced(plan: Plan, files: Files, around: Around, progress: Progress) -> Values:
    wanted = {entry.path: entry for entry in plan.entries if not plan.leaves_alone(entry.path)}
    folders = {folder for path in wanted for folder in _above(path)}
    found = await _found(plan, files)
    _refuse_clashes(plan, wanted, folders, found)
    await _make_folders(plan, files, folders, found, progress)
    for path in sorted(wanted):
        content = await file_of(around, f"{plan.source}/{path}" if plan.source != "." else path)
        put = await place(files, below(plan.root, path), _as_wanted(plan, wanted[path], content), progress)
        progress.put += put
    if plan.delete:
        await _delete(plan, files, set(wanted), folders, found, progress)
    changed = bool(progress.made or progress.put or progress.removed)
    return {"changed": changed, "uploaded": progress.put, "deleted": progress.removed}


def _as_wanted(plan: Plan, entry: Entry, content: bytes) -> Wanted:
    mode = mode_of(plan.inputs.get("mode"))
    if mode is None:
        mode = _PROGRAM if entry.executable else _FILE
    return Wanted(content, mode, plan.inputs.get("owner"), plan.inputs.get("group"))


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


async def _found(plan: Plan, files: Files) -> Found:
    """All that is there and is not excluded. Raises FileRefused beyond the bounds, and for names that no path has."""
    found = Found()
    root = await files.stat(plan.root)
    if root is None:
        return found
    if root.kind not in ("folder", "link"):
        raise FileRefused(f"{plan.root}: a {root.kind} is there, and no folder")
    pending = [""]
    while pending:
        above = pending.pop()
        async for entry in files.list(below(plan.root, above) if above else plan.root):
            path = f"{above}/{entry.name}" if above else entry.name
            if plan.leaves_alone(path):
                continue
            if len(found.files) + len(found.folders) >= MOST:
                raise FileRefused(f"{plan.root}: more than {MOST} files and folders are below it")
            if entry.kind != "folder":
                found.files[path] = entry
                continue
            if path.count("/") >= DEEPEST:
                raise FileRefused(f"{plan.root}: its folders are more than {DEEPEST} deep")
            found.folders[path] = entry
            pending.append(path)
    return found


def _refuse_clashes(plan: Plan, wanted: Mapping[str, Entry], folders: set[str], found: Found) -> None:
    for path in sorted(folders & found.files.keys()):
        kind = found.files[path].kind
        raise FileRefused(f"{plan.root}/{path}: a {kind} is there, where the repository has a folder")
    for path in sorted(wanted.keys() & found.folders.keys()):
        raise FileRefused(f"{plan.root}/{path}: a folder is there, where the repository has a file")


async def _make_folders(plan: Plan, files: Files, folders: set[str], found: Found, progress: Progress) -> None:
    given = mode_of(plan.inputs.get("folderMode"))
    owner, group = plan.inputs.get("owner"), plan.inputs.get("group")
    if await files.stat(plan.root) is None:
        with progress.changing():
            await files.make_folder(plan.root, mode=_FOLDER if given is None else given)
            await files.own(plan.root, mode=given, owner=owner, group=group)
        progress.made += 1
    for path in sorted(folders):
        full, there = below(plan.root, path), found.folders.get(path)
        if there is None:
            with progress.changing():
                await files.make_folder(full, mode=_FOLDER if given is None else given)
                await files.own(full, mode=given, owner=owner, group=group)
            progress.made += 1
        elif given is not None and there.mode != given:
            with progress.changing():
                await files.own(full, mode=given, owner=None, group=None)
            progress.made += 1


async def _delete(
    plan: Plan, files: Files, wanted: set[str], folders: set[str], found: Found, progress: Progress
) -> None:
    """Remove what nobody wants, the deepest first. A folder that holds what is excluded stays."""
    for path in sorted(found.files.keys() - wanted):
        with progress.changing():
            await files.remove(below(plan.root, path))
        progress.removed += 1
    for path in sorted(found.folders.keys() - folders, key=lambda one: (-one.count("/"), one)):
        full = below(plan.root, path)
        if not [entry async for entry in files.list(full)]:
            with progress.changing():
                await files.remove(full)
            progress.removed += 1
