"""Options of a Rundeck job as params: what checks a value is kept as JSON Schema, or told where it cannot be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.userschema import faults_of, problems_of
from opsconductor.imports.drafts import Place, Remark, literal, one_line
from opsconductor.imports.naming import identifier
from opsconductor.imports.rundeckjob import RundeckJob, barred, is_empty, is_true

_OF_FORMS = frozenset({"sortIndex", "hidden", "isDate", "sortValues"})
"""What only says how the page that asked for options looked."""
_CARRIED = frozenset(
    {
        "name", "label", "description", "value", "values", "required", "enforced", "regex", "secure", "storagePath",
        "valueExposed", "multivalued", "delimiter", "valuesListDelimiter",
    }
)  # fmt: skip
_DELIMITER = ","
"""Between several values, where the export names none."""


@dataclass
class Options:
    """Makes params of the options of jobs."""

    remarks: list[Remark] = field(default_factory=list)

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def params(self, job: RundeckJob) -> dict[str, Any]:
        found: dict[str, Any] = {}
        without = barred(job)
        for option, place in job.options:
            written = str(option["name"])
            name = identifier(written)
            if job.refers and is_true(option.get("secure")):
                what = f"option {one_line(written, 40)} is secret, and a Workflow hands no secret on"
                self.lose(place, what, "name a Credential in 'params' of the nodes that need it")
            elif name in found or written in without:
                what = f"option {one_line(written, 40)}: another one has its name here"
                self.lose(place, what, "give it another name in Rundeck, and import again")
            else:
                found[name] = self._param(option, place, name)
        return found

    def _param(self, option: Mapping[str, Any], place: Place, name: str) -> dict[str, Any]:
        param: dict[str, Any] = {"type": "string"}
        for key, said in (("title", option.get("label")), ("description", option.get("description"))):
            if isinstance(said, str) and said.strip():
                param[key] = one_line(said, 300)
        if is_true(option.get("secure")):
            self._secret(option, param, place, name)
        else:
            if option.get("value") not in (None, ""):
                param["default"] = literal(_text(option["value"]))
            self._checks(option, param, place, name)
            self._default(param, place, name)
        if is_true(option.get("required")) and "default" not in param:
            param["required"] = True
        self._rest(option, place, name)
        return param

    def _secret(self, option: Mapping[str, Any], param: dict[str, Any], place: Place, name: str) -> None:
        param["secret"] = True
        if option.get("storagePath") or option.get("value"):
            what = f"option {name}: its value is there ({one_line(str(option.get('storagePath')), 50)})"
            hint = f"make a Credential; ask with -p '{name}={{credentialRef: NAME, field: password}}'"
            self.lose(place, what, hint)
        if str(option.get("valueExposed")).lower() == "false":
            what = f"option {name} was there to log in on nodes, and no script had it"
            self.note(place, what, "name its Credential in the connections of the Targets")
        for key in ("values", "regex"):
            if not is_empty(option.get(key)):
                what = f"option {name} is secret, and has no {key} here"
                self.lose(place, what, "nothing here looks at what a secret is")

    def _checks(self, option: Mapping[str, Any], param: dict[str, Any], place: Place, name: str) -> None:
        several, enforced = is_true(option.get("multivalued")), is_true(option.get("enforced"))
        values = _values(option)
        delimiter = str(option.get("delimiter") or _DELIMITER)
        if several:
            what = f"option {name} takes several values"
            self.note(place, what, f"it is one text, with {delimiter[:10]!r} between them")
        if values is None:
            self.lose(place, f"option {name}: 'values' is no list", "write 'enum' by hand")
        elif enforced and several and values:
            self._several(values, delimiter, param, place, name)
        elif enforced and values:
            param["enum"] = [literal(one) for one in values]
        elif values:
            self.note(place, f"option {name}: values to choose from", "any other was taken, too; see 'enum'")
        if (regex := option.get("regex")) not in (None, ""):
            self._regex(str(regex), param, place, name, several=several)

    def _several(self, values: list[str], delimiter: str, param: dict[str, Any], place: Place, name: str) -> None:
        """Each of several values in one text is one of those that are allowed."""
        one = f"(?:{'|'.join(map(re.escape, values))})"
        schema = {"type": "string", "pattern": f"^{one}(?:{re.escape(delimiter)}{one})*$"}
        if any(problems_of(schema)):
            what = f"option {name}: any value is taken, not only one of the {len(values)} that are enforced"
            self.lose(place, what, "write 'pattern' by hand, or make the param an array of 'enum'")
        else:
            param["pattern"] = schema["pattern"]

    def _regex(self, regex: str, param: dict[str, Any], place: Place, name: str, *, several: bool) -> None:
        said = f"option {name}: the pattern {one_line(regex, 60)}"
        if "enum" in param or "pattern" in param:
            self.note(place, f"{said} was not asked", "the values that are enforced alone count")
        elif several:
            self.lose(place, f"{said} is for each of several values", "write 'pattern' of all of them as one text")
        else:
            pattern = regex if regex.startswith("^") and regex.endswith("$") else f"^(?:{regex})$"
            if any(problems_of({"type": "string", "pattern": pattern})):
                self.lose(place, f"{said} has no equal here", "write 'pattern'")
            else:
                param["pattern"] = pattern

    def _default(self, param: dict[str, Any], place: Place, name: str) -> None:
        if "default" in param and any(faults_of(param, param["default"])):
            what = f"option {name}: its default {one_line(param.pop('default'), 60)} is none of what it takes"
            self.lose(place, what, "write 'default' by hand, or give the param with each run")

    def _rest(self, option: Mapping[str, Any], place: Place, name: str) -> None:
        if option.get("storagePath") and not is_true(option.get("secure")):
            what = f"option {name}: its default is there ({one_line(str(option['storagePath']), 50)})"
            self.lose(place, what, "write 'default', or make it secret")
        if form := [key for key in sorted(_OF_FORMS & option.keys()) if option[key] not in (None, "", False)]:
            self.note(place, f"option {name}: {', '.join(form)}", "there is no page that asks for params")
        for key in sorted(map(str, option.keys() - _CARRIED - _OF_FORMS)):
            if option[key] not in (None, "", False):
                self.lose(place, f"option {name}: {one_line(key, 40)} has no equal here", "a param has a JSON Schema")


def _values(option: Mapping[str, Any]) -> list[str] | None:
    """What may be chosen, as a list or as one text with a delimiter; None where it is neither."""
    match option.get("values"):
        case None:
            return []
        case list(found):
            return list(dict.fromkeys(map(_text, found)))
        case str(text):
            parts = text.split(str(option.get("valuesListDelimiter") or _DELIMITER))
            return list(dict.fromkeys(part.strip() for part in parts if part.strip()))
        case _:
            return None


def _text(value: object) -> str:
    """A default or a choice as Rundeck hands it to commands: YAML has truth values where people wrote words."""
    return str(value).lower() if isinstance(value, bool) else str(value)
