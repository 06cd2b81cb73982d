"""An MCP server over stdio that does what its first argument says, most of it wrong: `python tests/mcpserver.py MODE`.

It speaks the protocol by hand, so that it can break it. A second argument names a file or pipe that gets a line for
every call, and its process id before that.
"""

import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
NEWS = sys.argv[2] if len(sys.argv) > 2 else None
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TOOL = {"name": "work", "description": "Works.", "inputSchema": NUMBER, "outputSchema": NUMBER}


def tell(line: object) -> None:
    if NEWS:
        with open(NEWS, "a") as news:
            news.write(f"{line}\n")


def say(message: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tools() -> list:
    match MODE:
        case "twice":
            return [TOOL, TOOL]
        case "names":
            return [{**TOOL, "name": "\x1b[31mred\nnext"}]
        case "patterns":
            return [{**TOOL, "inputSchema": {**NUMBER, "patternProperties": {"(a+)+$": {}}}}]
        case "remote":
            return [{**TOOL, "inputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/schema"}}]
        case "plain" | "secret":
            return [{"name": "work", "inputSchema": {"type": "object"}}]
        case _:
            return [TOOL]


def called(identifier: object, arguments: dict) -> None:
    tell("called")
    answer: dict = {"content": [{"type": "text", "text": "done"}], "structuredContent": {"n": 7}}
    match MODE:
        case "hang" | "deaf":
            time.sleep(3600)
        case "dies":
            os._exit(3)
        case "flood":
            while True:
                say({"method": "notifications/message", "params": {"level": "info", "data": "x" * 60_000}})
        case "line":
            while True:
                sys.stdout.write("x" * 65536)
        case "parts":
            sys.stdout.write('{"jsonrpc":"2.0","method":"x","params":{"a":[' + "[]," * 300_000 + "[]]}}\n")
        case "lines":
            sys.stdout.write("x\n" * 200_000)
        case "wrong":
            answer["structuredContent"] = {"n": "seven"}
        case "nothing":
            del answer["structuredContent"]
        case "strange":
            answer = {"content": "text"}
        case "error":
            answer = {"content": [{"type": "text", "text": "no \x1b[2Jway"}], "isError": True}
        case "refuses":
            say({"id": identifier, "error": {"code": -32602, "message": "not today"}})
            return
        case "asks":
            for number, method in enumerate(("sampling/createMessage", "elicitation/create", "roots/list")):
                say({"id": f"ask-{number}", "method": method, "params": {"messages": [], "maxTokens": 1,
                     "message": "?", "requestedSchema": {"type": "object", "properties": {}}}})  # fmt: skip
                reply = json.loads(sys.stdin.readline())
                tell(f"{method} {'error' in reply}")
        case "changes":
            TOOL["outputSchema"] = {"type": "object"}
            say({"method": "notifications/tools/list_changed"})
            answer["structuredContent"] = {"other": True}
        case "plain":
            answer = {
                "content": [{"type": "text", "text": '{"n": 1}'}, {"type": "image", "data": "", "mimeType": "x/y"}]
            }
        case "secret":
            text = f"{os.environ.get('TOKEN')} {sorted(os.environ)}"
            answer = {"content": [{"type": "text", "text": text}]}
    say({"id": identifier, "result": answer})


def main() -> None:
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"], stdout=2)
        tell(child.pid)
    tell(os.getpid())
    print("hello" if MODE == "strange" else "", flush=True)
    print(f"a word to its owner: {MODE}", file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        identifier = message.get("id")
        match message.get("method"):
            case "initialize":
                about = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
                say({"id": identifier, "result": {**about, "serverInfo": {"name": "test", "version": "1"}}})
            case "tools/list" if MODE == "pages":
                say({"id": identifier, "result": {"tools": [], "nextCursor": "again"}})
            case "tools/list":
                say({"id": identifier, "result": {"tools": tools()}})
            case "tools/call":
                called(identifier, message["params"].get("arguments") or {})
            case method if identifier is not None and method is not None:
                say({"id": identifier, "error": {"code": -32601, "message": "no such method"}})


if __name__ == "__main__":
    main()
