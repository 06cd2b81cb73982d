"""yaml-language-server as an editor drives it: JSON-RPC over its standard input and output, no window."""

import itertools
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import node_programs

_PATIENCE = 60
"""Seconds until a silent server is a failure; it answers in well under one."""


class LanguageServer:
    """One server for one folder. Files are opened as they are on disk, and never changed."""

    def __init__(self, process: "subprocess.Popen[bytes]", root: Path, settings: Mapping[str, Any]) -> None:
        self._process, self._settings = process, settings
        self._ids = itertools.count(1)
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        folder = {"uri": root.as_uri(), "name": root.name}
        capabilities = {"workspace": {"configuration": True, "workspaceFolders": True}, "textDocument": {}}
        self.ask("initialize", processId=os.getpid(), rootUri=root.as_uri(), capabilities=capabilities,
                 workspaceFolders=[folder])  # fmt: skip
        self._tell("initialized")

    def findings(self, file: Path) -> list[dict[str, Any]]:
        """What the editor would underline in a file: LSP diagnostics, places counted from 0."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": file.read_text()}
        self._tell("textDocument/didOpen", textDocument=document)
        said = self._wait(lambda message: message.get("method") == "textDocument/publishDiagnostics"
                          and message["params"]["uri"] == file.as_uri())  # fmt: skip
        return list(said["params"]["diagnostics"])

    def completions(self, file: Path, line: int, character: int) -> list[str]:
        """What the editor would offer at a place of a file that was opened; places count from 0."""
        place = {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": character}}
        return [item["label"] for item in self.ask("textDocument/completion", **place)["items"]]

    def ask(self, method: str, **parameters: Any) -> Any:
        """A request and its result."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": parameters})
        answer = self._wait(lambda message: message.get("id") == number and "method" not in message)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _wait(self, wanted: Any) -> dict[str, Any]:
        while True:
            message = self._arrived.get(timeout=_PATIENCE)
            assert message is not None, f"the language server ended with {self._process.wait()}"
            if wanted(message):
                return message
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": self._answer(message)})

    def _answer(self, request: dict[str, Any]) -> Any:
        if request["method"] != "workspace/configuration":
            return None
        return [self._settings.get(item.get("section", "")) for item in request["params"]["items"]]

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line.strip():
                self._arrived.put(json.loads(self._process.stdout.read(length)))
        self._arrived.put(None)


@contextmanager
def language_server(root: Path) -> Iterator[LanguageServer]:
    """A running server for a folder, with the settings that `init` wrote there; ended at the end."""
    program = node_programs.module("yaml-language-server") / "bin" / "yaml-language-server"
    flat = json.loads((root / ".vscode" / "settings.json").read_text())
    settings = {"schemas": flat["yaml.schemas"], "schemaStore": {"enable": flat["yaml.schemaStore.enable"]}}
    process = subprocess.Popen(["node", program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield LanguageServer(process, root, {"yaml": {**settings, "validate": True, "completion": True}})
    finally:
        process.kill()
        process.wait()
