"""What Pydantic found, said in plain words and at the exact key or value at fault."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from unicodedata import normalize

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.diagnostic import Diagnostic, Related
from schemas.envelope import API_VERSION
from schemas.fields import Fields, Path, near
from schemas.guard import MAX_FINDINGS, Mark
from schemas.places import Places
from schemas.span import Span

_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "nothing",
}
_NAME = "lower-case letters, digits, dots and hyphens, at most 63; a letter or a digit first and last"
_PATTERNS = {
    r"^\s*\$\{\{[\s\S]*\}\}\s*$": ("a list or one expression", "write [a, b], or ${{ ... }} and nothing beside it"),
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": ("a name", _NAME),
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": ("an identifier", "letters, digits and underscores; no digit first"),
    r"^OPSCONDUCTOR_SECRET_[A-Z0-9_]+$": (
        "a variable that secrets may come from",
        "its name begins with OPSCONDUCTOR_SECRET_",
    ),
    r"^refs/heads/[A-Za-z0-9._][A-Za-z0-9._/-]*$": ("a full branch name", "as in refs/heads/opsconductor/status"),
    r"^sha256:[0-9a-f]{64}$": ("a digest", "copy it from the gate: sha256: and 64 hexadecimal digits"),
    r"^[^@\s]+@[^@\s]+$": ("a mail address", "as in oncall@example.org"),
    r"\$\{\{": ("an expression", "as in ${{ exitCode }}; numbers stand without quotes"),
    r"^https?://[^\s/-][^\s]*$": ("an http URL", "as in https://chat.example.org/hooks/ops"),
    r"^[a-z][a-z0-9]*://[^\s]+$": ("a URL", "as in ntfy://ntfy.example.org/ops"),
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": ("a day", "as in 2026-12-24"),
    r"^[A-Z]{2}$": ("a country code", "two capital letters of ISO 3166-1, as in MD"),
    r"^[A-Z0-9]{1,3}$": ("a subdivision code", "the part of ISO 3166-2 after the hyphen, as in BY"),
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*$": ("a branch name", "as in opsconductor/discovery"),
    r"^([^\s/@:-][^\s/@:]*|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?)$": (
        "a host name or an address",
        "as in web-01.example.org or 10.0.0.7, without user and port",
    ),
    r"^[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$": ("a login name", "it begins with neither a blank nor '-'"),
    r"\S": ("a script", "write the commands to run, or remove the step"),
    r"^[0-9]+(\.[0-9]+){0,2}$": ("a version", "as in 1.4.0"),
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?@[0-9]+(\.[0-9]+){0,2}$": ("a library", "as in linux-core@1"),
}
_NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_ENOUGH = 20 * MAX_FINDINGS
"""Faults looked at, so that a hostile document costs little more than a right one."""
_STEP_LISTS = frozenset({"steps", "rescue", "finally"})
_WORD = re.compile(r"[A-Za-z]+")
_QUOTED = re.compile(r"'([A-Za-z]+)'")


@dataclass(frozen=True, slots=True)
class Fault:
    """Everything that Pydantic says of one place: the value there, or its key."""

    path: Path
    about_key: bool
    details: list[ErrorDetails] = field(repr=False)

    @property
    def kinds(self) -> Mapping[str, ErrorDetails]:
        """By the type that Pydantic gives an error."""
        return {detail["type"]: detail for detail in self.details}


def located(error: ValidationError, value: dict[str, Any]) -> tuple[Fault, ...]:
    """What is at fault. A parent says nothing where one of its children is at fault already."""
    by_path: dict[tuple[Path, bool], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_input=False)[:_ENOUGH]:
        by_path.setdefault(_path_of(details, value), []).append(details)
    paths = {path for path, _ in by_path}
    parents = {path[:n] for path in paths for n in range(len(path))}
    return tuple(Fault(*place, details) for place, details in by_path.items() if place[0] not in parents)


def described(
    found: Iterable[Fault],
    value: dict[str, Any],
    model: type[BaseModel],
    places: Places,
    file: str,
    marks: Iterable[Mark] = (),
) -> tuple[Diagnostic, ...]:
    """One finding for each place at fault; none that only follows from what the guard refused at `marks`."""
    document = _Document(value, model, places, file)
    at_fault = tuple(fault for fault in found if not _follows(fault, marks))
    unknown = (fault.path for fault in at_fault if "extra_forbidden" in fault.kinds)
    misspelt = document.misspelt(islice(unknown, MAX_FINDINGS))
    at_fault = tuple(
        fault for fault in at_fault if not (fault.path in misspelt and fault.details[0]["type"] == "missing")
    )
    return tuple(
        document.fault(fault.path, fault.details, about_key=fault.about_key) for fault in at_fault[:MAX_FINDINGS]
    )


def _follows(fault: Fault, marks: Iterable[Mark]) -> bool:
    if fault.about_key or "extra_forbidden" in fault.kinds:
        return False
    for mark in marks:
        if "missing" in fault.kinds:
            if mark.sort == "open" and fault.path[:-1] == mark.path:
                return True
        elif (fault.path == mark.path and mark.sort != "twice") or fault.path == mark.path[:-1]:
            return True
    return False


def _path_of(details: ErrorDetails, value: Any) -> tuple[Path, bool]:
    """The path in the data, less the labels that Pydantic adds for unions; and whether the key itself is at fault."""
    path: list[str | int] = []
    location = details["loc"]
    for step in location:
        if step == "[key]":
            return tuple(path), True
        if isinstance(step, int):
            if isinstance(value, list) and step < len(value):
                path.append(step)
                value = value[step]
        elif isinstance(value, dict) and step in value:
            path.append(step)
            value = value[step]
    if details["type"] == "missing":
        path.append(location[-1])
    return tuple(path), False


class _Document:
    """The document at fault, with what is needed to talk about its parts."""

    def __init__(self, value: dict[str, Any], model: type[BaseModel], places: Places, file: str) -> None:
        self._value = value
        self._model = model
        self._fields = Fields(model, value)
        self._places = places
        self._file = file

    def misspelt(self, unknown: Iterable[Path]) -> frozenset[Path]:
        """Fields that are there under another name: one mistake is one finding."""
        meant = ((path[:-1], self._fields.meant(str(path[-1]), path[:-1])) for path in unknown)
        return frozenset((*owner, field) for owner, field in meant if field)

    def fault(self, path: Path, details: list[ErrorDetails], *, about_key: bool) -> Diagnostic:
        kinds = {detail["type"]: detail for detail in details}
        first = details[0]
        if about_key:
            return self._bad_key(path, first)
        if path == ("apiVersion",):
            return self._api_version(path)
        if "extra_forbidden" in kinds:
            return self._unknown(path)
        if "missing" in kinds:
            return self._missing(path)
        if "union_tag_not_found" in kinds:
            odd = near("type", map(str, self._at(path)), 0.8)
            return self._unknown((*path, odd)) if odd else self._missing((*path, "type"))
        if "union_tag_invalid" in kinds:
            return self._not_allowed((*path, "type"), _quoted(kinds["union_tag_invalid"], "expected_tags"))
        if "value_error" in kinds:
            return self._contradiction(path, kinds["value_error"])
        if "literal_error" in kinds:
            return self._not_allowed(path, _quoted(kinds["literal_error"], "expected"))
        if all(kind in _EXPECTED for kind in kinds):
            return self._wrong_type(path, kinds)
        special = next((detail for detail in details if detail["type"] not in _EXPECTED), first)
        return self._out_of_bounds(path, special)

    def _span(self, path: Path, *, key: bool = False) -> Span:
        return self._places.span(self._file, path, key=key)

    def _at(self, path: Path) -> Any:
        value: Any = self._value
        for step in path:
            value = value[step]
        return value

    def _called(self, path: Path) -> str:
        """`'timeout' of step 'free'`, `step 2`, `item 3 of 'names'`, `this Job`."""
        if not path:
            return f"this {self._model.__name__}"
        *above, last = path
        inside = self._step(path[:-1])
        if isinstance(last, int):
            if (step := self._step(path)) and len(path) > 1 and path[-2] in _STEP_LISTS:
                return step
            owner = above[-1] if above else ""
            return f"item {last + 1} of '{owner}'" + (f" of {inside}" if inside else "")
        return f"'{last}'" + (f" of {inside}" if inside else "")

    def _step(self, path: Path) -> str:
        """The innermost step that a path runs through."""
        for end in range(len(path), 1, -1):
            index, owner = path[end - 1], path[end - 2]
            if isinstance(index, int) and owner in _STEP_LISTS:
                value = self._at(path[:end])
                name = value.get("id") if isinstance(value, dict) else None
                if isinstance(name, str):
                    return f"step '{name}'"
                return f"step {index + 1}" if owner == "steps" else f"step {index + 1} of '{owner}'"
        return ""

    def _api_version(self, path: Path) -> Diagnostic:
        if "apiVersion" not in self._value:
            return Diagnostic(self._span((), key=True), "OC202", "the document has no 'apiVersion'", _FIRST_LINE)
        return Diagnostic(self._span(path), "OC202", f"'apiVersion' must be {API_VERSION}", _FIRST_LINE)

    def _bad_key(self, path: Path, details: ErrorDetails) -> Diagnostic:
        what, hint = _pattern(details)
        if what:
            return Diagnostic(self._span(path, key=True), "OC207", f"'{_cut(path[-1])}' is not {what}", hint)
        message = f"'{_cut(path[-1])}' cannot be a key here"
        return Diagnostic(self._span(path, key=True), "OC207", message, _plain(details["msg"]))

    def _unknown(self, path: Path) -> Diagnostic:
        *above, key = path
        span = self._span(path, key=True)
        owner = tuple(above)
        fields = sorted(self._fields.of(owner))
        meant = self._fields.meant(str(key), owner)
        hint = f"did you mean '{meant}'?" if meant else f"its fields are {', '.join(fields)}" if fields else ""
        if not meant and (place := self._fields.elsewhere(str(key), owner)) is not None:
            named = f"'{place[-1]}'" if place and isinstance(place[-1], str) else self._called(place)
            hint = f"'{_cut(key)}' is a field of {named}"
        if (odd := key if isinstance(key, str) else "").strip() != odd.strip(" \t"):
            hint = "blanks of another kind stand beside it (copied from a web page?); write plain spaces"
        return Diagnostic(span, "OC203", f"'{_cut(key)}' is not a field of {self._called(owner)}", hint)

    def _missing(self, path: Path) -> Diagnostic:
        *above, key = path
        owner = tuple(above)
        described = self._fields.description(path)
        hint = f"{key}: {described}" if described else ""
        return Diagnostic(self._span(owner, key=True), "OC204", f"{self._called(owner)} has no '{key}'", hint)

    def _contradiction(self, path: Path, details: ErrorDetails) -> Diagnostic:
        message = _plain(details["msg"])
        value = self._at(path)
        if not isinstance(value, dict):
            what, _, hint = message.partition("; ")
            code = "OC208" if what.startswith(("a duration of more", "not long enough")) else "OC207"
            described = f"is {what}" if what.startswith(("not a", "a ")) else f": {what}"
            return Diagnostic(self._span(path), code, f"{self._called(path)} {described}".replace(" :", ":"), hint)
        if message.startswith("a step "):
            message = message.replace("a step", self._called(path), 1)
        keys = self._named(message, path)
        if message.endswith("needs either 'run' or 'uses'"):
            hint = "run: a script; uses: a step type"
            return Diagnostic(self._span(path, key=True), "OC204", message, hint)
        code = "OC204" if "required" in message else "OC209"
        if not keys:
            return Diagnostic(self._span(path, key=True), code, message)
        spans = [self._span((*path, key), key=True) for key in keys]
        related = tuple(Related(span, "and this one") for span in spans[:-1])
        return Diagnostic(spans[-1], code, message, related=related)

    def _named(self, message: str, path: Path) -> list[str]:
        """The keys that a message names and the mapping has, in the order of the text."""
        present = [str(key) for key in self._places.keys(path)]
        if message.startswith("'") and (first := _QUOTED.match(message)) and first[1] in present:
            return [first[1]]
        words = set(_WORD.findall(message))
        return [key for key in present if key in words]

    def _not_allowed(self, path: Path, options: list[str]) -> Diagnostic:
        value = self._at(path)
        hint = "one of " + ", ".join(options) if len(options) > 1 else f"write {options[0]}" if options else ""
        if isinstance(value, str) and (close := near(value, options)):
            hint = f"did you mean '{close}'?" + (f" ({hint})" if len(options) > 1 else "")
        shown = f"not '{_cut(value)}'" if isinstance(value, str) else f"not {_found(value)}"
        allowed = options[0] if len(options) == 1 else "one of its values"
        return Diagnostic(self._span(path), "OC206", f"{self._called(path)} must be {allowed}, {shown}", hint)

    def _wrong_type(self, path: Path, kinds: Iterable[str]) -> Diagnostic:
        expected = list(dict.fromkeys(_EXPECTED[kind] for kind in kinds if kind != "none_required"))
        if "a number" in expected and "a whole number" in expected:
            expected.remove("a whole number")
        value = self._at(path)
        hint = ""
        if "a list" in expected and isinstance(value, str | int | float) and not isinstance(value, bool):
            hint = f"write [{_cut(value)}]"
        elif "text" in expected and isinstance(value, bool | int | float):
            hint = "write it in quotes"
        elif value is not None and expected[-1] == "a mapping":
            hint = self._as_mapping(path, value)
        elif isinstance(value, str) and expected in (["true or false"], ["a whole number"], ["a number"]):
            hint = "write it without quotes" if _looks(value, expected[0]) else f"write {expected[0]}"
        elif value is None:
            hint = "give it a value, or remove the key"
        wanted = ", ".join(expected[:-1]) + (" or " if len(expected) > 1 else "") + expected[-1]
        return Diagnostic(
            self._span(path), "OC205", f"{self._called(path)} must be {wanted}, not {_found(value)}", hint
        )

    def _as_mapping(self, path: Path, value: object) -> str:
        fields = sorted(self._fields.of(path))
        if isinstance(value, str) and (len(fields) == 1 or "run" in fields):
            return f"write {{{fields[0] if len(fields) == 1 else 'run'}: {_cut(value)}}}"
        return f"its fields are {', '.join(fields)}" if fields else "write it as 'key: value'"

    def _out_of_bounds(self, path: Path, details: ErrorDetails) -> Diagnostic:
        called, span = self._called(path), self._span(path)
        context = details.get("ctx", {})
        match details["type"]:
            case "string_pattern_mismatch":
                what, hint = _pattern(details)
                value = _cut(self._at(path))
                if context.get("pattern") == _NAME_PATTERN and (name := name_like(value)):
                    hint = f"did you mean '{name}'? ({hint})"
                return Diagnostic(span, "OC207", f"{called} must be {what or 'well formed'}, not '{value}'", hint)
            case "greater_than_equal":
                return Diagnostic(span, "OC208", f"{called} must be at least {context['ge']}")
            case "less_than_equal":
                return Diagnostic(span, "OC208", f"{called} must be at most {context['le']}")
            case "string_too_long":
                return Diagnostic(span, "OC208", f"{called} must have at most {context['max_length']} characters")
            case "string_too_short":
                return Diagnostic(span, "OC208", f"{called} must not be empty")
            case "too_short":
                return Diagnostic(span, "OC208", f"{called} needs at least {context['min_length']} item")
            case "too_long":
                return Diagnostic(span, "OC208", f"{called} must have at most {context['max_length']} items")
            case _:
                return Diagnostic(span, "OC207", f"{called} is not valid: {_plain(details['msg'])}")


def _quoted(details: ErrorDetails, about: str) -> list[str]:
    return re.findall(r"'([^']*)'", str(details.get("ctx", {}).get(about, "")))


_FIRST_LINE = f"write apiVersion: {API_VERSION}"


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{_cut(value)}'"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def _looks(value: str, expected: str) -> bool:
    if expected == "true or false":
        return value in ("true", "false")
    return value.strip().lstrip("+-").replace(".", "", 1).isdigit()


def name_like(text: str) -> str:
    """The name that a text would be, if its author had kept to the rule."""
    plain = normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")


def _pattern(details: ErrorDetails) -> tuple[str, str]:
    pattern = details.get("ctx", {}).get("pattern", "")
    return _PATTERNS.get(pattern, ("", f"it must match {pattern}" if pattern else ""))
