"""The text of a schedule's file with the schedule suspended, or no longer: one place of it is edited. Pure."""

from schemas.reader import Authored, read
from schemas.schedule import Schedule


def with_suspension(text: str, file: str, name: str, *, suspend: bool) -> str | None:
    """The file with `suspend` of this schedule so. None where it is so, or the text cannot be edited safely.

    Comments, order and the other documents of the file stay. The result is read again: it differs in this alone.
    """
    before = read(text.encode(), file)
    found = next((one for one in before.documents if one.identity == f"Schedule/{name}"), None)
    if found is None or not isinstance(found.document, Schedule) or found.document.spec.suspend not in (True, False):
        return None
    if found.document.spec.suspend is suspend:
        return None
    edited = _edited(text, found, "true" if suspend else "false")
    after = read(edited.encode(), file)
    meant = [_as_data(one, suspend if one is found else None) for one in before.documents]
    if len(after.findings) > len(before.findings):
        return None
    return edited if [_as_data(one, None) for one in after.documents] == meant else None


def _as_data(authored: Authored, suspend: bool | None) -> tuple[str, dict[str, object]]:
    data = authored.document.to_json()
    spec = dict(data["spec"]) if isinstance(data.get("spec"), dict) else {}
    if suspend is not None:
        spec["suspend"] = suspend
    if authored.document.kind == "Schedule" and spec.get("suspend") is False:
        del spec["suspend"]  # left out is the same
    return authored.identity, {**data, "spec": spec}


def _edited(text: str, found: Authored, value: str) -> str:
    rows = text.split("\n")
    if found.places.exists(("spec", "suspend")):
        at = found.span("spec", "suspend")
        row = rows[at.line - 1]
        rows[at.line - 1] = row[: at.column - 1] + value + row[at.end_column - 1 :]
        return "\n".join(rows)
    at = found.span("spec")
    row, column = rows[at.line - 1], at.column - 1
    if row[column : column + 1] == "{":
        rows[at.line - 1] = f"{row[: column + 1]}suspend: {value}, {row[column + 1 :]}"
    else:
        ending = "\r" if row.endswith("\r") else ""
        rows[at.line - 1 : at.line] = [f"{row[:column]}suspend: {value}{ending}", " " * column + row[column:]]
    return "\n".join(rows)
