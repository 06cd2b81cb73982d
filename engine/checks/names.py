"""The names that an expression may use at a place, and what is wrong with another."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.checks.reading import Fault, named
from engine.checks.rendered import Place
from engine.checks.scope import Path, PlacedStep, steps_of
from engine.expressions.expression import Reference
from schemas.act import RunRequest
from schemas.diagnostic import STEPS, Related, Rest
from schemas.guesses import Guesses, first_of
from schemas.job import Job
from schemas.library import LibraryStep
from schemas.reader import Authored

OWN = frozenset({"state", "exitCode", "stdout", "stderr", "json", "duration", "attempts"})
"""Names of the step's own result, bare in its outputs, okExitCodes and retry.if."""
_FIELDS: Mapping[str, frozenset[str]] = {
    "target": frozenset({"name", "host", "os", "labels", "vars", "facts"}),
    "job": frozenset({"name"}),
    "run": frozenset({"id", "job", "commit", "instant", "attempt", "cause"}),
}
_OF_STEP = OWN | {"outputs"}
_ELSEWHERE = {
    "event": "only triggers have events",
    "jobs": "only workflows have jobs",
    "item": "only forEach has items",
    "params": "a step of a library has inputs",
    "inputs": "only steps of libraries have inputs",
}
_ROOTS = frozenset({"params", "steps", "target", "job", "run", "env", "vars", "secrets"})
CONTEXTS = (_ROOTS | _ELSEWHERE.keys()) - {"item"}
"""Names that mean something in an expression, somewhere."""


def _around(place: Place) -> tuple[Path, ...]:
    """The steps that a place is in, the innermost last."""
    path = place.own.path if place.own is not None else ()
    return tuple(path[: end + 1] for end, step in enumerate(path) if isinstance(step, int))


@dataclass
class Names:
    """What a document declares. `library_outputs` are those of steps of libraries by the path of the step that uses
    them, None where nobody can say."""

    authored: Authored
    library_outputs: Mapping[Path, frozenset[str] | None]
    targeted: bool
    every: dict[str, tuple[int, PlacedStep]] = field(default_factory=dict)
    guesses: Guesses = field(default_factory=Guesses)

    def __post_init__(self) -> None:
        for number, placed in enumerate(steps_of(self.authored)):
            self.every.setdefault(placed.id, (number, placed))

    def fault(self, place: Place, reference: Reference, whole: bool) -> Fault | None:
        found = self._fault(place, reference, whole)
        if found is None or not self.authored.holes:
            return found
        rests = self.rests(place, reference, only_where=found.code == "OC403")
        if found.code == "OC606":  # what the type of a step takes may be a secret
            rests = (*rests, *(Rest((*around, "uses")) for around in _around(place)[-1:]))
        return replace(found, rests=rests)

    def rests(self, place: Place, reference: Reference, *, only_where: bool = False) -> tuple[Rest, ...]:
        """What in the document decides what a name means. `only_where`: no more than where it is declared."""
        job: Path = ("spec", "job") if isinstance(self.authored.document, RunRequest) else ("spec",)
        match reference.path:
            case ("params" | "inputs" as root, *below):
                return (Rest(("spec", root, *below[:1])),)
            case ("steps", name, *_) if name in self.every:
                step = self.every[name][1].path
                return (Rest((*step, "id") if only_where else step),)
            case ("steps", name, *_):
                return (Rest((*job, STEPS, "id"), name),)
            case ("env", *_):
                return (Rest(("spec", "env")), *(Rest((*around, "env")) for around in _around(place)[-1:]))
            case ("target" | "vars", *_):
                return (Rest((*job, "targets")),)
            case (root, *_) if root in _ROOTS:
                return ()
        return tuple(Rest((*around, "forEach")) for around in _around(place))

    def _fault(self, place: Place, reference: Reference, whole: bool) -> Fault | None:
        root, *rest = reference.path
        if (root in OWN and place.bare) or root in place.items:
            return None
        match root:
            case "steps":
                return self._step(place, rest)
            case "params" if not self.of_library:
                return self._param(place, root, rest, whole)
            case "inputs" if self.of_library:
                return self._param(place, root, rest, whole)
            case "secrets":
                return self.secret(place, rest, whole)
            case "env":
                hint = "declare it under 'env', before its use; a secret is read by the script alone, as a variable"
                return named("variable", "env", rest, place.env, self.guesses, hint)
            case "target" | "vars" if not self.targeted:
                return Fault("OC402", f"there is no '{root}': the job has no targets", "give the job 'targets'")
            case "target" | "job" | "run":
                return named("field", root, rest, _FIELDS[root], self.guesses)
            case "vars":
                return None
            case _:
                return self._unknown(place, root)

    def _unknown(self, place: Place, root: str) -> Fault:
        if root in OWN:
            hint = "it is at hand in outputs, okExitCodes and retry.if; elsewhere write steps.<id>." + root
            return Fault("OC402", f"'{root}' is the step's own result, and not known here", hint)
        if root in _ELSEWHERE:
            return Fault("OC402", f"there is no '{root}' here", _ELSEWHERE[root])
        if root in self.every:
            return Fault("OC402", f"'{root}' is a step", f"write steps.{root}")
        if root in self.params:
            word = "input" if self.of_library else "param"
            return Fault("OC402", f"'{root}' is {'an' if self.of_library else 'a'} {word}", f"write {word}s.{root}")
        names = sorted(_ROOTS | (OWN if place.bare else frozenset()))
        near = self.guesses.near(root, names)
        hint = f"did you mean '{near}'?" if near else f"there are {', '.join(names)}"
        return Fault("OC402", f"there is no '{root}'", hint)

    @property
    def of_library(self) -> bool:
        return isinstance(self.authored.document, LibraryStep)

    @property
    def params(self) -> Mapping[str, Any]:
        match self.authored.document:
            case Job() as job:
                return job.spec.params
            case LibraryStep() as step:
                return step.spec.inputs
        return {}

    def _param(self, place: Place, root: str, rest: list[str], whole: bool) -> Fault | None:
        declared, word = self.params, root.removesuffix("s")
        if rest and declared.get(rest[0], {}).get("secret") is True and not (place.secrets and whole):
            hint = "as the whole value of an 'env' entry, or of 'stdin'"
            return Fault("OC606", f"'{rest[0]}' is a secret {word}, and may not stand here", hint)
        return named(word, root, rest[:1], declared, self.guesses, f"declare it under spec.{root}")

    def _step(self, place: Place, rest: list[str]) -> Fault | None:
        if not rest:
            return None
        number, step = self.every.get(rest[0], (place.known, None))
        if step is None or number >= place.known:
            return self._not_yet(place, rest[0], step)
        if len(rest) > 1 and rest[1] not in _OF_STEP:
            declared = rest[1] in step.step.outputs
            near = self.guesses.near(rest[1], _OF_STEP)
            hint = f"write steps.{rest[0]}.outputs.{rest[1]}" if declared else ""
            hint = hint or (f"did you mean '{near}'?" if near else f"it has {', '.join(sorted(_OF_STEP))}")
            return Fault("OC402", f"a step has no '{rest[1]}'", hint)
        if len(rest) > 2 and rest[1] == "outputs":
            of_type: Collection[str] = step.type.outputs if step.type is not None else ()
            of_library = self.library_outputs.get(step.path, frozenset())
            if of_library is None:
                return None
            outputs: tuple[Collection[str], ...] = (step.step.outputs, of_type, of_library)
            if not any(rest[2] in declared for declared in outputs):
                nears = (self.guesses.near(rest[2], declared) for declared in outputs)
                near = next(filter(None, nears), None)
                hint = f"did you mean '{near}'?" if near else "declare it under the step's 'outputs'"
                where = self.authored.span(*step.path, "outputs" if step.step.outputs else "id", key=True)
                message = f"step '{rest[0]}' declares no output '{rest[2]}'"
                return Fault("OC405", message, hint, (Related(where, "the step"),))
        return None

    def _not_yet(self, place: Place, name: str, later: PlacedStep | None) -> Fault:
        if later is None:
            near = self.guesses.near(name, self.every)
            hint = f"did you mean '{near}'?" if near else f"its steps: {first_of(self.every)}"
            return Fault("OC402", f"there is no step '{name}'", hint)
        if place.own is not None and later.path == place.own.path:
            if place.bare:
                hint = "its own result has bare names here: stdout, exitCode, …"
            else:
                hint = "a step does not know its own result"
            return Fault("OC403", f"step '{name}' refers to itself", hint)
        related = (Related(self.authored.span(*later.path, key=True), "the step"),)
        if place.own is None:
            return Fault(
                "OC403", f"step '{name}' has no result here yet", "write it in the 'env' of a later step", related
            )
        hint = "an expression sees the steps before it only"
        return Fault("OC403", f"step '{name}' comes later", hint, related)

    def secret(self, place: Place, rest: list[str], whole: bool) -> Fault | None:
        if self.of_library:
            return Fault("OC606", "a library knows no credentials", "take it as an input with secret: true")
        if not (place.secrets and whole) or len(rest) != 2:
            hint = 'as in env: {TOKEN: "${{ secrets.<credential>.<field> }}"}, or the whole of stdin'
            return Fault("OC606", "a secret may only be the whole value of an 'env' entry or of 'stdin'", hint)
        return None
