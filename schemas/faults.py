"""What Pydantic found, said in plain words and at the exact key or value at fault."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from unicodedata import normalize

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.diagnostic import Diagnostic, Related
from schemas.envelope import API_VERSION
from schemas.guard import MAX_FINDINGS
from schemas.places import Places
from schemas.span import Span

Path = tuple[str | int, ...]

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
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": ("a name", _NAME),
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": ("an identifier", "letters, digits and underscores; no digit first"),
    r"^OPSCONDUCTOR_SECRET_[A-Z0-9_]+$": (
        "a variable that secrets may come from",
        "its name begins with OPSCONDUCTOR_SECRET_",
    ),
    r"^refs/heads/[A-Za-z0-9._/-]+$": ("a full branch name", "as in refs/heads/opsconductor/status"),
    r"^sha256:[0-9a-f]{64}$": ("a digest", "copy it from the gate: sha256: and 64 hexadecimal digits"),
    r"^[^@\s]+@[^@\s]+$": ("a mail address", "as in oncall@example.org"),
    r"\$\{\{": ("an expression", "as in ${{ exitCode }}; numbers stand without quotes"),
    r"^https?://[^\s/]+[^\s]*$": ("an http URL", "as in https://chat.example.org/hooks/ops"),
    r"^[a-z][a-z0-9]*://[^\s]+$": ("a URL", "as in ntfy://ntfy.example.org/ops"),
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": ("a day", "as in 2026-12-24"),
    r"^[A-Z]{2}$": ("a country code", "two capital letters of ISO 3166-1, as in MD"),
    r"^[A-Z0-9]{1,3}$": ("a subdivision code", "the part of ISO 3166-2 after the hyphen, as in BY"),
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*$": ("a branch name", "as in opsconductor/discovery"),
    r"^[^\s/@-][^\s/@]*$": (
        "a host name or an address",
        "as in web-01.example.org or 10.0.0.7, without user and port",
    ),
    r"^[0-9]+(\.[0-9]+){0,2}$": ("a version", "as in 1.4.0"),
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?@[0-9]+(\.[0-9]+){0,2}$": ("a library", "as in linux-core@1"),
}
_NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_MEANT = {
    **dict.fromkeys(("command", "cmd", "script", "exec"), "run"),
    **dict.fromkeys(("module", "action", "plugin", "use"), "uses"),
    **dict.fromkeys(("args", "arguments", "inputs"), "with"),
    **dict.fromkeys(("when", "condition", "only"), "if"),
    **dict.fromkeys(("loop", "with_items", "matrix"), "forEach"),
    **dict.fromkeys(("environment", "environ"), "env"),
    **dict.fromkeys(("cwd", "dir", "chdir", "directory"), "workingDir"),
    **dict.fromkeys(("retries", "attempts"), "retry"),
    **dict.fromkeys(("ignoreErrors", "ignore_errors", "allowFailure", "allow_failure"), "continueOnError"),
    **dict.fromkeys(("onFailure", "onError", "except", "catch"), "rescue"),
    **dict.fromkeys(("always", "cleanup", "post"), "finally"),
    **dict.fromkeys(("password", "secret", "token", "privateKey", "identityFile", "credentials"), "credentialRef"),
    **dict.fromkeys(("hosts", "nodes", "members"), "names"),
    **dict.fromkeys(("dependsOn", "depends_on", "after", "requires"), "needs"),
    **dict.fromkeys(("tz", "zone"), "timeZone"),
    **dict.fromkeys(("on", "source"), "event"),
    **dict.fromkeys(("exclude",), "except"),
    **dict.fromkeys(("variables",), "vars"),
    **dict.fromkeys(("tags",), "labels"),
    **dict.fromkeys(("capacity", "concurrency", "slots"), "maxRuns"),
    **dict.fromkeys(("days",), "dates"),
    **dict.fromkeys(("schedule", "crontab"), "cron"),
    **dict.fromkeys(("interval", "period"), "every"),
    **dict.fromkeys(("become_user", "sudo"), "become"),
    **dict.fromkeys(("vhost",), "virtualHost"),
    **dict.fromkeys(("url",), "baseUrl"),
}
"""What other programs call it; a hint only where the mapping has the field."""
_ENOUGH = 20 * MAX_FINDINGS
"""Faults looked at, so that a hostile document costs little more than a right one."""
_STEP_LISTS = frozenset({"steps", "rescue", "finally"})
_WORD = re.compile(r"[A-Za-z]+")
_QUOTED = re.compile(r"'([A-Za-z]+)'")


def faults(
    error: ValidationError, value: dict[str, Any], model: type[BaseModel], places: Places, file: str
) -> tuple[Diagnostic, ...]:
    """One finding for each place at fault. A parent says nothing where one of its children is at fault already."""
    by_path: dict[tuple[Path, bool], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_input=False)[:_ENOUGH]:
        path, about_key = _path_of(details, value)
        by_path.setdefault((path, about_key), []).append(details)
    paths = {path for path, _ in by_path}
    parents = {path[:n] for path in paths for n in range(len(path))}
    document = _Document(value, model, places, file)
    unknown = (path for path, details in _of_type_named(by_path, "extra_forbidden"))
    misspelt = document.misspelt(islice(unknown, MAX_FINDINGS))
    at_fault = [
        (*place, details)
        for place, details in by_path.items()
        if place[0] not in parents and not (place[0] in misspelt and details[0]["type"] == "missing")
    ]
    return tuple(
        document.fault(path, details, about_key=about_key) for path, about_key, details in at_fault[:MAX_FINDINGS]
    )


def _of_type_named(
    by_path: Mapping[tuple[Path, bool], list[ErrorDetails]], name: str
) -> Iterator[tuple[Path, list[ErrorDetails]]]:
    return ((path, details) for (path, _), details in by_path.items() if any(one["type"] == name for one in details))


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
        self._places = places
        self._file = file

    def misspelt(self, unknown: Iterable[Path]) -> frozenset[Path]:
        """Fields that are there under another name: one mistake is one finding."""
        meant = ((path[:-1], self._meant(str(path[-1]), sorted(self._fields(path[:-1])))) for path in unknown)
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
            near = _near("type", map(str, self._at(path)), 0.8)
            return self._unknown((*path, near)) if near else self._missing((*path, "type"))
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

    def _fields(self, path: Path) -> frozenset[str]:
        """The camelCase fields of what stands at a path."""
        models = _of_type(_models_at(self._model, path), self._found_at(path))
        return frozenset(info.alias or name for model in models for name, info in model.model_fields.items())

    def _found_at(self, path: Path) -> Any:
        try:
            return self._at(path)
        except (LookupError, TypeError):
            return None

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
        fields = sorted(self._fields(owner))
        near = self._meant(str(key), fields)
        hint = f"did you mean '{near}'?" if near else f"its fields are {', '.join(fields)}" if fields else ""
        if not near and (elsewhere := self._elsewhere(str(key), owner)):
            hint = f"'{_cut(key)}' is a field of {elsewhere}"
        if (odd := key if isinstance(key, str) else "").strip() != odd.strip(" \t"):
            hint = "blanks of another kind stand beside it (copied from a web page?); write plain spaces"
        return Diagnostic(span, "OC203", f"'{_cut(key)}' is not a field of {self._called(owner)}", hint)

    def _meant(self, key: str, fields: list[str]) -> str:
        meant = _MEANT.get(key, "")
        return _near(key, fields, 0.8) or (meant if meant in fields else _near(key, fields))

    def _elsewhere(self, key: str, owner: Path) -> str:
        """Whose field it is, of those around and right below: what a wrong indentation looks like."""
        around = [owner[:end] for end in range(len(owner) - 1, -1, -1)]
        below = [(*owner, field) for field in sorted(self._fields(owner))]
        for place in (*around, ("spec",), ("metadata",), *below):
            if place != owner and key in self._fields(place):
                return f"'{place[-1]}'" if place and isinstance(place[-1], str) else self._called(place)
        return ""

    def _missing(self, path: Path) -> Diagnostic:
        *above, key = path
        owner = tuple(above)
        described = _description(self._model, owner, str(key))
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
        if isinstance(value, str) and (near := _near(value, options)):
            hint = f"did you mean '{near}'?" + (f" ({hint})" if len(options) > 1 else "")
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
        fields = sorted(self._fields(path))
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
                if context.get("pattern") == _NAME_PATTERN and (name := _name_like(value)):
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


def _name_like(text: str) -> str:
    """The name that a text would be, if its author had kept to the rule."""
    plain = normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")


def _pattern(details: ErrorDetails) -> tuple[str, str]:
    pattern = details.get("ctx", {}).get("pattern", "")
    return _PATTERNS.get(pattern, ("", f"it must match {pattern}" if pattern else ""))


def _near(word: str, options: Iterable[str], cutoff: float = 0.65) -> str:
    folded = {option.lower().replace("_", ""): option for option in options}
    found = get_close_matches(word.lower().replace("_", "").replace("-", ""), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else ""


def _of_type(models: tuple[type[BaseModel], ...], value: object) -> tuple[type[BaseModel], ...]:
    """Those of the models that the value means by its `type`; all of them where it names none."""
    named = value.get("type") if isinstance(value, dict) else None
    meant = tuple(
        model for model in models if "type" in model.model_fields
        and named in get_args(model.model_fields["type"].annotation)
    )  # fmt: skip
    return meant or models


def _description(model: type[BaseModel], path: Path, key: str) -> str:
    for found in _models_at(model, path):
        for name, info in found.model_fields.items():
            if (info.alias or name) == key:
                return info.description or ""
    return ""


def _models_at(model: type[BaseModel], path: Path) -> tuple[type[BaseModel], ...]:
    here: list[Any] = [model]
    for step in path:
        here = [below for annotation in here for below in _below(annotation, step)]
    return tuple(dict.fromkeys(found for annotation in here for found in _models_in(annotation)))


def _below(annotation: Any, step: str | int) -> Iterator[Any]:
    for found in _unwrapped(annotation):
        origin = get_origin(found)
        if isinstance(found, type) and issubclass(found, BaseModel):
            for name, info in found.model_fields.items():
                if (info.alias or name) == step:
                    yield info.annotation
        elif origin in (tuple, list):
            yield get_args(found)[0]
        elif origin is dict:
            yield get_args(found)[1]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for found in _unwrapped(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel):
            yield found


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without Annotated, Optional and Union around them."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _unwrapped(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _unwrapped(annotation.__origin__)
    elif get_origin(annotation) is not Literal:
        yield annotation
