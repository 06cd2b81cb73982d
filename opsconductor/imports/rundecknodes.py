"""On which nodes a job of Rundeck runs, and in what order, as selections and strategies of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconductor.imports.drafts import Place, Remark, one_line
from opsconductor.imports.rundeckjob import RundeckJob, is_empty, is_true
from opsconductor.imports.rundeckwords import selected

_OF_FILTERS = frozenset({"dispatch", "filter", "include"})
_DISPATCH = frozenset({"threadcount", "keepgoing", "excludePrecedence", "successOnEmptyNodeFilter"})


@dataclass
class Nodes:
    """Of all jobs of an import. With `targets` node filters are not asked; `local`: some job runs where Rundeck did."""

    targets: tuple[str, ...]
    remarks: list[Remark] = field(default_factory=list)
    local: bool = False

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def selection(self, job: RundeckJob) -> dict[str, Any]:
        """What chooses the Targets of a job."""
        filters = job.data.get("nodefilters")
        place = job.place("nodefilters")
        if self.targets:
            if isinstance(filters, dict):
                self.note(place, "the node filter is not asked: targets were named", "look whether they are those")
            return {"names": list(self.targets)}
        text = str(filters.get("filter") or "").strip() if isinstance(filters, dict) else ""
        if isinstance(filters, dict) and not text and isinstance(filters.get("include"), dict):
            text = " ".join(f"{key}: {value}" for key, value in filters["include"].items())
        if not text:
            self.local = True
            return {"names": ["localhost"]}
        if "${" in text:
            what = (
                f"the node filter {one_line(text, 80)} depends on an option; the label rundeck-nodes is asked instead"
            )
            self.lose(place, what, "give it to the Targets, and narrow a run by --limit")
            return {"selector": {"matchLabels": {"rundeck-nodes": "true"}}}
        made = selected(text)
        if made.labels:
            labels = ", ".join(dict.fromkeys(made.labels))
            self.note(place, f"the node filter {one_line(text, 80)} asks for labels", f"give the Targets {labels}")
        for what in made.lost:
            self.lose(place, f"the node filter {one_line(text, 80)}: {what}", "write 'targets' by hand")
        return made.selection

    def strategy(self, job: RundeckJob) -> dict[str, Any]:
        """In what order and how many at once."""
        filters = job.data.get("nodefilters")
        sequence = job.data.get("sequence")
        found: dict[str, Any] = {}
        match str(sequence.get("strategy") or "node-first") if isinstance(sequence, dict) else "node-first":
            case "node-first":
                pass
            case "step-first" | "sequential":
                found["order"] = "stepFirst"
            case other:
                self.lose(job.place("sequence", "strategy"), f"the strategy {one_line(other, 40)}", "write a Workflow")
        if not isinstance(filters, dict):
            return found
        dispatch = filters.get("dispatch") if isinstance(filters.get("dispatch"), dict) else {}
        assert isinstance(dispatch, dict)
        threads = str(dispatch.get("threadcount") or 1)
        if threads.isdecimal() and 0 < int(threads[:7]) <= 1_000_000:
            found["maxParallel"] = int(threads)
        else:
            self.lose(job.place("nodefilters"), f"threadcount {one_line(threads, 40)}", "write strategy.maxParallel")
        if not is_true(dispatch.get("keepgoing")):
            found["maxFailures"] = 0
        self._unequal(job.place("nodefilters"), filters, dispatch)
        for key in sorted(map(str, dispatch.keys() - _DISPATCH)):
            if dispatch[key] in (None, "", "ascending"):
                continue
            self.lose(job.place("nodefilters"), f"{one_line(key, 40)} of the dispatch", "targets go by their names")
        return found

    def _unequal(self, place: Place, filters: Mapping[str, Any], dispatch: Mapping[str, Any]) -> None:
        """What of a filter would choose other nodes there than here."""
        for key in sorted(map(str, filters.keys() - _OF_FILTERS)):
            if not is_empty(filters[key]):
                what = f"{one_line(key, 40)} of the node filter: {one_line(str(filters[key]), 60)}"
                self.lose(place, what, "write 'exclude' of the targets")
        if str(dispatch.get("excludePrecedence", "true")).lower() == "false":
            self.lose(place, "what is filtered in wins over what is filtered out", "here 'exclude' always wins")
        if is_true(dispatch.get("successOnEmptyNodeFilter")):
            self.lose(place, "a run without nodes succeeded", "here it is told as run.noTargets")
