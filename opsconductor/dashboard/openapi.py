"""The API described: an OpenAPI document made of the pages themselves, so that it names no other addresses. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from opsconductor.dashboard.pages.page import Page

_IN_PATH = re.compile(r"\{(\w+)\}")
_LONGEST = 200
_NUMBERS = frozenset({"page", "line", "crowd"})
_LARGEST = 999_999
_ERRORS = {
    "400": "The query cannot be answered; `error` says what it should be.",
    "401": "A token is needed: `Authorization: Bearer TOKEN`.",
    "404": "There is no such thing, or retention has removed it.",
    "421": "Without a token only this machine may ask, by its own name.",
    "503": "The journal cannot be read now.",
}
_JSON = "application/json"


def described(pages: Iterable[Page], version: str, base: str) -> dict[str, Any]:
    """OpenAPI 3.1. `base` is the path before each page's own.

    Of an answer it promises the names at its top; what is below may gain keys, and loses none within a version.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpsConductor",
            "version": version,
            "description": "The facts of the dashboard's pages. It can only be read: people act by commits.",
        },
        "servers": [{"url": base}],
        "paths": {each.api or each.path: {"get": _operation(each)} for each in pages},
        "components": {
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(page: Page) -> dict[str, Any]:
    path = page.api or page.path
    names = "-".join(part.strip("{}") for part in path.split("/") if part)
    about = (page.load.__doc__ or "").strip()
    return {
        "operationId": names,
        "summary": about.partition("\n")[0],
        "parameters": [
            *(_parameter(name, "path", "Its name or id.", required=True) for name in _IN_PATH.findall(path)),
            *(_parameter(name, "query", said, required=False) for name, said in page.asks.items()),
        ],
        "responses": {"200": _answer(page)} | {status: _error(said) for status, said in _ERRORS.items()},
    }


def _parameter(name: str, where: str, said: str, *, required: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "string", "maxLength": _LONGEST} | ({"minLength": 1} if required else {})
    if name in _NUMBERS:
        shape = {"type": "integer", "minimum": 1, "maximum": _LARGEST}
    return {"name": name, "in": where, "required": required, "description": said, "schema": shape}


def _answer(page: Page) -> dict[str, Any]:
    names = ("at", *page.gives)
    properties: dict[str, Any] = {name: {} for name in names}
    properties["at"] = {"type": "string", "format": "date-time", "description": "The instant that the facts are of."}
    schema = {"type": "object", "required": list(names), "properties": properties}
    return {"description": "The facts of the page.", "content": {_JSON: {"schema": schema}}}


def _error(said: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {"description": said, "content": {_JSON: shape}}
