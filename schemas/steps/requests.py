"""Step types in which the runner itself talks to a server."""

from schemas.steps.types import (
    CA_CERT,
    CREDENTIAL,
    HEADERS,
    REPOSITORY_FILE,
    STATUSES,
    URL,
    StepType,
    anything,
    choice,
    mapping,
    said_of,
    several,
    size,
    text,
    truth,
    whole_number,
)

_SCALAR = {"type": ["string", "number", "boolean"]}
_BODIES = ("json", "form", "body", "file")

TYPES = (
    StepType(
        "http.request",
        aliases=("http",),
        description="A request by HTTP. On a target with an `http` connection the URL may be a path below its baseUrl.",
        inputs={
            "method": choice("GET by default.", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
            "url": text(
                "An absolute URL, or a path below the baseUrl of the target's `http` connection. A host that comes from"
                " an expression must lie in the networks of the pool.",
                "https://api.example.org/v1/items",
                "/healthz",
                longest=2048,
                pattern=r"^(https?://|/|\$\{\{)",
            ),
            "query": mapping("Added to the URL, encoded.", {"limit": 10}, values=_SCALAR),
            "headers": HEADERS,
            "json": anything("The body, sent as JSON.", {"name": "web"}),
            "form": mapping("The body, sent as a form.", {"name": "web"}, values=_SCALAR),
            "body": text("The body, sent as it is; a secret may be the whole of it.", "ping", longest=262_144),
            "file": REPOSITORY_FILE,
            "credentialRef": CREDENTIAL,
            "credentialHeader": text(
                "The header that carries a token or a generic secret as it is; left out, a token goes as"
                " `Authorization: Bearer`.",
                "X-Api-Key",
                longest=64,
                pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
            ),
            "okStatus": STATUSES,
            "maxRedirects": whole_number(
                "How many redirects are followed, each looked at anew; 5 by default.", 0, 10, 0
            ),
            "maxSize": size("A longer answer fails the step; 1MiB by default.", "1MiB"),
            "caCert": CA_CERT,
        },
        required=frozenset({"url"}),
        at_most_one_of=(_BODIES,),
        together=(("credentialHeader", "credentialRef"),),
        results=said_of(status="integer", headers="object"),
        secret=frozenset({"body"}),
        credentials=("token", "password", "certificate", "generic"),
        files=frozenset({"file", "caCert"}),
        needs="nothing",
        examples=(
            {"url": "https://api.example.org/v1/items", "credentialRef": "api-token"},
            {"method": "POST", "url": "/v1/items", "json": {"name": "${{ target.name }}"}, "okStatus": [201]},
        ),
    ),
    StepType(
        "webhook.call",
        aliases=("webhook",),
        description="Posts to a webhook, signed by HMAC over the bytes of the body.",
        inputs={
            "url": URL,
            "json": anything("The body, sent as JSON; the run's facts as a CloudEvent where left out.", {"done": True}),
            "headers": HEADERS,
            "credentialRef": CREDENTIAL,
            "signatureHeader": text(
                "The header that carries the signature; X-Hub-Signature-256 by default.",
                "X-Signature",
                longest=64,
                pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
            ),
            "algorithm": choice("Of the signature; sha256 by default.", "sha256", "sha512"),
            "okStatus": STATUSES,
            "caCert": CA_CERT,
        },
        required=frozenset({"url"}),
        together=(("signatureHeader", "credentialRef"), ("algorithm", "credentialRef")),
        results=said_of(status="integer", headers="object"),
        credentials=("token", "generic"),
        files=frozenset({"caCert"}),
        needs="nothing",
        examples=({"url": "https://hooks.example.org/deploy", "json": {"done": True}, "credentialRef": "hook-key"},),
    ),
    StepType(
        "mcp.call",
        aliases=("mcp",),
        description="Calls a tool of an MCP server; what goes in and comes out is checked against the tool's schemas.",
        inputs={
            "command": several(
                "The program that is the server, with its arguments; talks over stdio, where the runner may start it.",
                {"type": "string", "minLength": 1, "maxLength": 4096},
                ["mcp-server-time", "--local-timezone=UTC"],
            ),
            "url": URL,
            "tool": text("The tool's name.", "get_current_time", longest=128),
            "arguments": mapping("What the tool is given.", {"timezone": "Europe/Chisinau"}),
            "digest": text(
                "The digest of the tool's name and schemas. A tool that has another is not called, and the failure says"
                " which it has: write 64 zeros first, run, look at the schemas in the log, and copy the digest.",
                f"sha256:{'0' * 64}",
                longest=71,
                pattern=r"^sha256:[0-9a-f]{64}$",
            ),
            "credentialRef": CREDENTIAL,
            "issuer": text(
                "The authorization server that gives tokens for the server at `url`, as its metadata names itself."
                " `credentialRef` is then a password: the client's id and its secret (OAuth client credentials).",
                "https://login.example.org",
                longest=2048,
                pattern=r"^https://",
            ),
            "caCert": CA_CERT,
        },
        required=frozenset({"tool", "digest"}),
        one_of=(("command", "url"),),
        together=(("credentialRef", "url"), ("caCert", "url"), ("issuer", "credentialRef")),
        credentials=("token", "generic"),
        credentials_by={"issuer": ("password",)},
        files=frozenset({"caCert"}),
        results={**said_of(text="string", digest="string"), "json": {}},
        needs="programs",
        examples=(
            {
                "command": ["mcp-server-time", "--local-timezone=UTC"],
                "tool": "get_current_time",
                "arguments": {"timezone": "Europe/Chisinau"},
                "digest": f"sha256:{'0' * 64}",
            },
            {
                "url": "https://mcp.example.org/mcp",
                "tool": "search",
                "arguments": {"query": "${{ params.query }}"},
                "digest": f"sha256:{'0' * 64}",
                "credentialRef": "mcp-token",
            },
        ),
    ),
    StepType(
        "nmap.scan",
        description="Looks which ports of hosts are open, by nmap on the runner's host.",
        inputs={
            "hosts": several(
                "Addresses, names or networks within those of the pool; the target's host where left out.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[A-Za-z0-9_.:/\[\]-]+$"},
                ["10.1.0.0/24", "db-01.example.org"],
            ),
            "ports": several(
                "Ports, and ranges of them; the thousand most used where left out.",
                {
                    "anyOf": [
                        {"type": "integer", "minimum": 1, "maximum": 65535},
                        {"type": "string", "pattern": r"^[0-9]{1,5}-[0-9]{1,5}$"},
                    ]
                },
                [22, "8000-8100"],
            ),
            "profile": choice("How hard it knocks; normal by default.", "polite", "normal", "fast"),
            "serviceDetection": truth("Ask open ports what they are."),
            "osDetection": truth("Guess the operating system; needs a runner that is root."),
        },
        results=said_of(hosts="array", open="array", count="integer"),
        needs="programs",
        examples=({"hosts": ["10.1.0.0/24"], "ports": [22, "8000-8100"], "profile": "polite"},),
    ),
)
