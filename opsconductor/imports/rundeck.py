"""Jobs of Rundeck, as it exports them in YAML, as Jobs, Workflows, Schedules and notifications.

A job of commands is a Job. One that refers to others is a Workflow of them, one after another; its own commands between
them are Jobs of their own. What cannot be carried is a step that fails, and a remark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsconductor.imports import quartz
from opsconductor.imports.crontime import CarryError
from opsconductor.imports.drafts import Draft, Place, Reading, Remark, UnreadableError, document, one_line
from opsconductor.imports.foreignyaml import Path, load
from opsconductor.imports.machine import localhost
from opsconductor.imports.naming import Names, identifier, slug
from opsconductor.imports.rundeckjob import (
    RundeckJob,
    barred,
    is_empty,
    is_on,
    is_true,
    labels_of,
    quartz_fields,
    variable,
)
from opsconductor.imports.rundecknodes import Nodes
from opsconductor.imports.rundecknotices import Notices
from opsconductor.imports.rundeckoptions import Options
from opsconductor.imports.rundecksteps import Steps
from opsconductor.imports.rundeckwords import TokenError, arguments, inlined, limit

_LONGEST = "1d"
_CARRIED = frozenset(
    {
        "name", "group", "description", "uuid", "id", "project", "options", "sequence", "schedule", "nodefilters",
        "notification", "timeout", "multipleExecutions", "maxMultipleExecutions", "scheduleEnabled", "executionEnabled",
        "timeZone", "nodesSelectedByDefault",
    }
)  # fmt: skip
_NOTED = {
    "loglevel": (("INFO", "NORMAL"), "all that steps say is kept; a script says more where it is told to"),
    "defaultTab": (("nodes",), "the page of a run shows its targets"),
    "nodeFilterEditable": ((), "--limit narrows any run"),
    "project": ((), "the repository stands for it"),
}
"""What nothing here depends on: values that Rundeck writes anyway, and how it is here."""
_OF_COMMANDS = frozenset({"jobref", "description", "errorhandler", "enabled", "nodeStep", "keepgoingOnSuccess"})
_OF_REFERENCES = frozenset({"name", "group", "uuid", "args", "nodefilters", "nodeStep", "useName"})


@dataclass(frozen=True, slots=True)
class Settings:
    """How the files are to be read. With `targets` node filters are not asked."""

    time_zone: str
    targets: tuple[str, ...] = ()
    mail_server: str = "localhost"


@dataclass
class _Maker:
    settings: Settings
    remarks: list[Remark] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    jobs: list[RundeckJob] = field(default_factory=list)
    nodes: Nodes = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.settings.targets, self.remarks)

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def file(self, name: str, data: bytes) -> None:
        try:
            documents = load(data, name)
        except UnreadableError as error:
            self.lose(error.place, error.said, "export the jobs again, as YAML")
            return
        for loaded in documents:
            whole = loaded.data if isinstance(loaded.data, list) else [loaded.data]
            for at, data_of_job in enumerate(whole):
                path: Path = (at,) if isinstance(loaded.data, list) else ()
                if not isinstance(data_of_job, dict) or not isinstance(data_of_job.get("name"), str):
                    self.lose(
                        Place(name, loaded.line(*path)), "no job of Rundeck: there is no name", "export it as YAML"
                    )
                    continue
                wanted = slug(data_of_job["name"], "job")
                made = self.names.unique(wanted, str(data_of_job.get("group")), str(data_of_job.get("uuid")))
                self.jobs.append(RundeckJob(name, loaded, path, data_of_job, made))

    def job(self, job: RundeckJob, notices: Notices) -> None:
        without = barred(job)
        secrets = [str(one["name"]) for one, _ in job.options if is_true(one.get("secure"))]
        steps = Steps([name for name in secrets if name not in without], without)
        params = Options(self.remarks).params(job)
        sequence = job.data.get("sequence")
        settings = sequence if isinstance(sequence, dict) else {}
        keep_going = is_true(settings.get("keepgoing"))
        around = self._around(job)
        documents: list[dict[str, Any]]
        if job.refers:
            documents = self._workflow(job, params, steps, around, keep_going=keep_going)
        else:
            commands = steps.all(job.commands, keep_going=keep_going)
            if not commands:
                self.lose(job.place("sequence"), f"{job.name} has no commands", "nothing would run")
                return
            spec = {"params": params, **around, **self._env(job, steps.secrets), "steps": commands}
            documents = [document("Job", job.name, spec, description=self._description(job), labels=labels_of(job))]
        kind = documents[0]["kind"]
        documents += self._schedule(job, kind)
        self.remarks += steps.remarks
        if isinstance(asked := job.data.get("notification"), dict):
            notices.job(kind, job.name, asked, job.place("notification"))
        self._rest(job, settings)
        self.drafts.append(Draft(f"{job.name}.yaml", job.place("name"), tuple(documents), tuple(self._above(job))))

    def _description(self, job: RundeckJob) -> str:
        return one_line(str(job.data.get("description") or "").strip().partition("\n")[0], 300)

    def _above(self, job: RundeckJob) -> list[str]:
        uuid = job.data.get("uuid") or job.data.get("id")
        group = job.data.get("group")
        said = [f"{group}/{job.data['name']}" if group else str(job.data["name"]), *([str(uuid)] if uuid else [])]
        rest = str(job.data.get("description") or "").strip().partition("\n")[2].strip()
        return [f"In Rundeck: {', '.join(said)}", *rest.splitlines()]

    def _env(self, job: RundeckJob, secrets: Sequence[str]) -> dict[str, Any]:
        """Options as scripts find them: those that are named so, and secret ones always."""
        text = str(job.data.get("sequence"))
        found: dict[str, str] = {}
        without = barred(job)
        for option, _ in job.options:
            name = str(option["name"])
            if name not in without and (variable(name) in text or name in secrets):
                found.setdefault(variable(name), f"${{{{ params.{identifier(name)} }}}}")
        return {"env": found} if found else {}

    def _around(self, job: RundeckJob) -> dict[str, Any]:
        """Targets, limits, and what may run at once."""
        spec: dict[str, Any] = {"targets": self.nodes.selection(job)}
        strategy = self.nodes.strategy(job)
        if strategy:
            spec["strategy"] = strategy
        if not is_true(job.data.get("multipleExecutions")):
            spec["concurrency"] = {"onConflict": "skip"}
        elif str(most := job.data.get("maxMultipleExecutions") or "").isdecimal() and int(str(most)) > 0:
            spec["concurrency"] = {"limit": int(str(most)), "onConflict": "skip"}
        else:
            spec["concurrency"] = {"onConflict": "allow"}
        spec["timeout"] = self._timeout(job)
        return spec

    def _timeout(self, job: RundeckJob) -> str:
        given = job.data.get("timeout")
        if given in (None, "", 0):
            return _LONGEST
        if (found := limit(str(given))) is None:
            self.lose(job.place("timeout"), f"timeout {one_line(str(given), 60)}", "write 'timeout' by hand")
        return found or _LONGEST

    def _workflow(
        self, job: RundeckJob, params: Mapping[str, Any], steps: Steps, around: Mapping[str, Any], *, keep_going: bool
    ) -> list[dict[str, Any]]:
        nodes: dict[str, Any] = {}
        parts: list[dict[str, Any]] = []
        waiting: list[tuple[Mapping[str, Any], Place]] = []
        passed = {name: f"${{{{ params.{name} }}}}" for name in params}

        def part() -> None:
            if waiting:
                name = self.names.unique(f"{job.name}-part-{len(parts) + 1}", job.name)
                spec = {"params": dict(params), **around, **self._env(job, steps.secrets)}
                made = document("Job", name, spec | {"steps": steps.all(waiting, keep_going=keep_going)})
                parts.append(made)
                self._node(nodes, f"part_{len(parts)}", {"jobRef": name, "params": passed}, keep_going=keep_going)
                waiting.clear()

        for command, place in job.commands:
            if not is_on(command):
                self.note(place, "a step that is switched off", "nothing was made of it")
                continue
            if "jobref" not in command:
                waiting.append((command, place))
                continue
            part()
            self._reference(job, command, place, nodes, keep_going=keep_going)
        part()
        timeout = around["timeout"]
        spec = {"params": dict(params), "concurrency": around["concurrency"], "timeout": timeout, "jobs": nodes}
        workflow = document("Workflow", job.name, spec, description=self._description(job), labels=labels_of(job))
        return [workflow, *parts]

    def _node(self, nodes: dict[str, Any], wanted: str, node: dict[str, Any], *, keep_going: bool) -> None:
        name, number = identifier(wanted), 1
        while name in nodes:
            number += 1
            name = f"{identifier(wanted)}_{number}"
        if not node["params"]:
            del node["params"]
        if nodes:
            node["needs"] = [list(nodes)[-1]]
            if keep_going:
                # nothing is forgiven: the next begins all the same, and the Workflow fails where one did
                node["if"] = "${{ !cancelled() }}"
        nodes[name] = node

    def _reference(
        self, job: RundeckJob, command: Mapping[str, Any], place: Place, nodes: dict[str, Any], *, keep_going: bool
    ) -> None:
        asked = command["jobref"] if isinstance(command["jobref"], dict) else {}
        meant = self._meant(job, asked)
        if meant is None:
            what = (
                f"the job {one_line(str(asked.get('name') or asked.get('uuid')), 40)} is referred to and was not given"
            )
            self.lose(place, what, "export it too, and name its file")
        elif meant.refers:
            what = f"{meant.name}, which is referred to, refers to others itself"
            self.lose(place, what, "a Workflow is made of Jobs: write its nodes into this one")
        given: dict[str, str] = {}
        without = barred(meant) if meant is not None else frozenset[str]()
        for name, value in arguments(str(asked.get("args") or "")).items():
            if name in without or identifier(name) in given:
                what = (
                    f"the argument {one_line(name, 40)}: another option of {meant.name if meant else 'it'} has its name"
                )
                self.lose(place, what, "give it another name in Rundeck, and import again")
                continue
            try:
                given[identifier(name)] = inlined(value, script=False, barred=barred(job))
            except TokenError as error:
                self.lose(place, f"the argument {one_line(name, 40)}: {error}", "write 'params' of the node")
        target = meant.name if meant is not None else slug(str(asked.get("name") or "unknown"), "job")
        self._node(nodes, target, {"jobRef": target, "params": given}, keep_going=keep_going)
        for key in ("nodefilters", "errorhandler"):
            if asked.get(key) or command.get(key):
                hint = "write 'limit' of the node" if key == "nodefilters" else "add a node with if: ${{ failure() }}"
                self.lose(place, f"{key} of a reference to {target}", hint)
        more = {key: command[key] for key in command.keys() - _OF_COMMANDS}
        more |= {key: asked[key] for key in asked.keys() - _OF_REFERENCES}
        for key in sorted(map(str, more)):
            if not is_empty(more[key]) and more[key] not in (False, "false"):
                self.lose(place, f"{one_line(key, 40)} of a reference to {target}", "nothing here does that")
        if isinstance(said := command.get("description"), str) and said.strip():
            self.note(place, f"what is said of the reference to {target}: {one_line(said, 60)}", "write a comment")
        if is_true(asked.get("nodeStep")) or is_true(command.get("nodeStep")):
            self.lose(place, f"{target} ran once for each node", "a node of a Workflow runs once, on all its targets")

    def _meant(self, job: RundeckJob, asked: Mapping[str, Any]) -> RundeckJob | None:
        for one in self.jobs:
            if asked.get("uuid") and asked["uuid"] in (one.data.get("uuid"), one.data.get("id")):
                return one
        named = [one for one in self.jobs if one.data["name"] == asked.get("name")]
        grouped = [one for one in named if (one.data.get("group") or "") == (asked.get("group") or "")]
        return next(iter(grouped or named), None)

    def _schedule(self, job: RundeckJob, kind: str) -> list[dict[str, Any]]:
        asked = job.data.get("schedule")
        if not isinstance(asked, dict):
            return []
        place = job.place("schedule")
        zone = str(job.data.get("timeZone") or self.settings.time_zone)
        try:
            made = quartz.schedule(quartz_fields(asked), zone)
        except (CarryError, ValueError) as error:
            self.lose(place, f"schedule: {error}", getattr(error, "hint", "") or "write a Schedule by hand")
            return []
        fields = dict(made.fields)
        first, *bounds = fields.items()
        spec: dict[str, Any] = {("jobRef" if kind == "Job" else "workflowRef"): job.name}
        spec |= dict([first, *([] if first[0] == "at" else [("timeZone", zone)]), *bounds])
        off = [
            key for key in ("scheduleEnabled", "executionEnabled") if str(job.data.get(key, "true")).lower() == "false"
        ]
        if off:
            spec["suspend"] = {"reason": "It was switched off in Rundeck."}
        return [document("Schedule", job.name, spec)]

    def _rest(self, job: RundeckJob, sequence: Mapping[str, Any]) -> None:
        for what, place in job.strange:
            self.lose(place, f"{what} of {job.name} has a form that Rundeck does not export", "write it by hand")
        for key in sorted(map(str, job.data.keys() - _CARRIED)):
            if is_empty(job.data[key]):
                continue
            what = f"{one_line(key, 40)} of {job.name}: {one_line(str(job.data[key]), 60)}"
            if key in _NOTED:
                usual, here = _NOTED[key]
                if job.data[key] is not False and str(job.data[key]) not in usual:
                    self.note(job.place(key), f"{what}: means nothing here", here)
                continue
            self.lose(job.place(key), what, "a step has 'retry'" if key == "retry" else "nothing here does that")
        for key in sorted(map(str, sequence.keys() - {"keepgoing", "strategy", "commands"})):
            self.lose(job.place("sequence", key), f"{one_line(key, 40)} of the sequence", "nothing here does that")
        if job.data.get("nodesSelectedByDefault") is False:
            self.note(job.place("nodesSelectedByDefault"), "Rundeck asked for nodes", "narrow a run with --limit")
        if str(job.data.get("executionEnabled", "true")).lower() == "false":
            self.note(job.place("executionEnabled"), f"{job.name} could not be run", "a Policy says who may run it")


def read(files: Mapping[str, bytes], settings: Settings) -> Reading:
    """Exports of jobs by what to call them."""
    maker = _Maker(settings)
    notices = Notices(settings.mail_server)
    for name, data in files.items():
        maker.file(name, data)
    for job in maker.jobs:
        maker.job(job, notices)
    if maker.nodes.local and maker.drafts:
        maker.drafts.append(localhost(maker.drafts[0].place))
    return Reading((*maker.drafts, *notices.drafts()), (*maker.remarks, *notices.remarks))
