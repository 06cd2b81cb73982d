"""Secrets in plain text, as they look in a file: by their form, in URLs, and by the words before them.

The forms are those that gitleaks and detect-secrets know. Every pattern begins with fixed text and none goes back and
forth, so the time grows with the size of the file; what has none of the words that they begin with is not looked at.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from engine.kept import OfLong
from engine.leaksaid import KEYS, LITERAL, SAID
from schemas.guard import MAX_FINDINGS


@dataclass(frozen=True, slots=True)
class Leak:
    """What stands where in a file: `line` and `column` count from 1, in code points.

    A `certain` one has the form of a secret; of the others only what stands before them says so.
    """

    line: int
    column: int
    length: int
    what: str
    certain: bool


_FORMS: tuple[tuple[str, str], ...] = (
    ("a private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"),
    ("a private key", r"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
    ("a private key", r"AGE-SECRET-KEY-1[A-Z0-9]{50,58}"),
    ("a token of GitHub", r"gh[oprsu]_[A-Za-z0-9]{36,255}"),
    ("a token of GitHub", r"github_pat_[A-Za-z0-9_]{36,255}"),
    ("a token of GitLab", r"gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_.-]{20,128}"),
    ("an access key of AWS", r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("a token of Slack", r"xox[abeoprs]-[A-Za-z0-9.-]{10,255}"),
    ("a token of Slack", r"xapp-[0-9]-[A-Za-z0-9-]{20,255}"),
    (
        "a secret address of Slack",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{24,128}",
    ),
    (
        "a secret address of Discord",
        r"discord(?:app)?\.com/api/webhooks/[0-9]{15,25}/[A-Za-z0-9_-]{40,128}",
    ),
    ("a token of Telegram", r"tgram://[0-9]{6,12}:[A-Za-z0-9_-]{30,60}"),
    ("a secret address of Discord", r"discord://[0-9]{8,25}/[A-Za-z0-9_-]{20,128}"),
    (
        "a token of Slack",
        r"slack://(?:[A-Za-z0-9._-]{1,64}@)?T[A-Z0-9]{6,14}/[AB][A-Z0-9]{6,14}/[A-Za-z0-9]{20,64}",
    ),
    ("a key of Pushover", r"pover://[A-Za-z0-9]{20,40}@[A-Za-z0-9]{20,40}"),
    ("a key of Google", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("a key of Stripe", r"[sr]k_live_[A-Za-z0-9]{10,255}"),
    ("a token of npm", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("a token of PyPI", r"pypi-AgE[A-Za-z0-9_-]{50,500}"),
    ("a token of Hugging Face", r"hf_[A-Za-z0-9]{34,40}(?![A-Za-z0-9])"),
    ("a token of Docker", r"dckr_[op]at_[A-Za-z0-9_-]{20,128}"),
    ("a token of Vault", r"hv[bs]\.[A-Za-z0-9_-]{24,300}"),
    ("a token of DigitalOcean", r"do[opr]_v1_[a-f0-9]{64}"),
    ("a key of SendGrid", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("a token of Grafana", r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    ("a key of a language model's service", r"sk-(?:ant|proj)-[A-Za-z0-9_-]{40,255}"),
    ("a JSON web token", r"(?<!-)eyJ[A-Za-z0-9_-]{10,}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}+"),
)
"""What it is, and its pattern. But for the head of a private key each has a word of _LONG characters or more."""
# These patterns are large, and few files need one: `re` reads each when it is first asked for, and keeps it.
_FORM = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))(?:" + "|".join(f"({pattern})" for _, pattern in _FORMS) + ")"
_LONG = 20
_WORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/+"
_TO_WORDS = bytes(byte if byte in _WORD else 32 for byte in range(256))
_ESCAPES = re.compile(rb"\\[nrt]")
"""Between double quotes they end a line: what follows begins a word."""
_PUBLIC = b"AAAA"
"""So begin public keys of SSH, which many files have."""
_LEAST_LETTERS = 6
"""So many different characters has what is no row of x's."""

_URL = r"""://[^\s/?#@:"'`<>\\]*:(?P<value>[^\s/?#@"'`<>\\]+)@(?!sha256:)"""

_SECRET_WORD = rf"(?:passw(?:or)?d|passphrase|secret|token|_pwd|(?:{'|'.join(KEYS)})[_-]?key)"
_OF_PROGRAMS = "pgpw|sshpass|bindpw|(?:redis|valkey)(?:cli)?[_-]?auth"
_SHORT_WORD = rf"(?:(?<![A-Za-z0-9])(?:pass|pw)|{_OF_PROGRAMS}|(?<=[A-Za-z0-9][_-])pat)[0-9]{{0,2}}"
"""What people and programs call passwords and personal access tokens for short, at the end of a name."""
_NAMING = (b"passw", b"passphrase", b"secret", b"token", b"_pwd", b"authorization", b"securestring", b"--pass")
_SHORT = (b"pass", b"pw", b"_pat", b"-pat", b"redis", b"valkey")
_SHORT_GIVEN = _SHORT_WORD.encode() + rb"[\\\"']{0,2}[ \t]{0,8}[:=]"
_LEAST_SHORT = 4
_BEFORE_KEY = tuple(word.encode() for word in KEYS)
_ASSIGNED = (
    rf"(?P<name>(?i:{_SECRET_WORD}|(?P<short>{_SHORT_WORD})))(?:=(?![=~>]){LITERAL}"
    r"""|(?:[ \t]{1,4}=[ \t]{1,4}|\\?["'][ \t]{0,4}:[ \t]{0,4})(?P<mark>\\?["'])(?P<text>[^"'\n\r\\]+))"""
)
_KEY = (
    rb"(?i)(?:"
    + f"{_SECRET_WORD}|{_SHORT_WORD}".encode()
    + rb"|authorization)[\"']?[ \t]{0,8}:(?![ \t]{0,8}[\"']?\$\{\{)"
)

_NAME = re.compile(
    r"(?:password|passwd|passphrase|secret|token|authorization|(?:api|access|private|secret|auth|encryption|master)key)$"
)
_SHORT_NAME = re.compile(f"(?i:{_SHORT_WORD})$")
_COMPUTED = re.compile(r"\$(?:[A-Za-z_{(]|env:)|\$\{\{|\{\{|^%[A-Za-z_0-9]+%$|^%[sd]$|`")
_VARIABLE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_:]*|\$\(.*\)|%[A-Za-z_0-9]+%")
_STAND_IN = re.compile(r"<[^<>]*>|[xX*._…-]+|ENC\[.*|(?:/|~/|\./|\.\./)[\w.-]+(?:/[\w.-]+)+", re.DOTALL)
_ELSEWHERE = re.compile(r"(?:env|file|vault|op|ref|sops|arn:aws:(?:secretsmanager|ssm))[:+]")
_NO_SECRET = frozenset(
    {"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", "enabled", "disabled"}
)


def names_a_secret(name: str) -> bool:
    """Whether what has this name should be a secret: DB_PASSWORD, apiToken, PGPASSWORD; but not TOKEN_FILE."""
    if _FROM.match(name) is not None:
        return False
    if name.lower().endswith(("_pwd", "-pwd")):
        return name.upper() != "OLD_PWD"
    if _SHORT_NAME.search(name) is not None:
        return True
    return _NAME.search(name.lower().replace("_", "").replace("-", "")) is not None


_FROM = re.compile(r"from[A-Z_-]")
"""`fromSecret: db` says where it lies."""
_SCHEMA_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_LAST_WORD = re.compile(r"[A-Z]?[a-z0-9]+\Z|[A-Z0-9]+\Z")
_ELSEWHERE_BY = frozenset({"ref", "refs", "from"})
_DESCRIBING = _ELSEWHERE_BY | frozenset(
    {
        "address", "after", "alg", "algorithm", "alphabet", "at", "aud", "audience", "charset", "comment", "count",
        "created", "date", "days", "description", "enabled", "encoding", "endpoint", "engine", "env", "every",
        "expiration", "expires", "expiry", "field", "file", "format", "header", "hint", "host", "hours", "id", "ids",
        "in", "issuer", "kind", "label", "labels", "length", "lifetime", "location", "login", "max", "maximum",
        "method", "min", "minimum", "minutes", "name", "names", "note", "optional", "path", "plugin", "policy", "pool",
        "port", "prefix", "provider", "realm", "required", "rotate", "rotation", "scheme", "scope", "scopes", "seconds",
        "sops", "time", "title", "ttl", "type", "updated", "uri", "url", "user", "username", "vault", "version",
    }
)  # fmt: skip
"""Last words of names."""


def describes_a_secret(key: str) -> bool:
    """Whether what has this name, below the name of a secret, is something about it: `minLength`, `token_url`."""
    return _last_word(key) in _DESCRIBING


def holds_no_secret(mapping: Mapping[str, object]) -> bool:
    """Whether a mapping under the name of a secret says what it must look like, or where it is: a schema, a reference.

    As `{type: string, minLength: 8}`, `{credentialRef: db, field: password}`, `{fromSecret: db, key: token}`.
    """
    if mapping.get("type") in _SCHEMA_TYPES:
        return True
    return any(key.startswith("from") or _last_word(key) in _ELSEWHERE_BY for key in mapping)


def _last_word(key: str) -> str:
    match = _LAST_WORD.search(key)
    return match[0].lower() if match is not None else ""


def stands_for_a_secret(text: str) -> bool:
    """Whether a text holds the place of a secret and is none itself: `<token>`, `xxxx`, `$VAR`, `${{ … }}`, a path.

    `changeme` is a secret: what people forget to change is in use.
    """
    text = text.strip()
    return (
        not text
        or "${{" in text
        or "{{" in text
        or "EXAMPLE" in text
        or "REDACTED" in text
        or text.lower() in _NO_SECRET
        or _VARIABLE.fullmatch(text) is not None
        or _STAND_IN.fullmatch(text) is not None
        or _ELSEWHERE.match(text) is not None
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """What the text of a file shows: its secrets in order, and whether some of its keys may have names of secrets."""

    leaks: tuple[Leak, ...] = ()
    may_name: bool = False


def shown(data: bytes) -> Shown:
    """What is looked for in plain text. Each document of a file asks for it.

    `data` has passed the guard. At most MAX_FINDINGS of each sort.
    """
    return _kept.answer(data, lambda: _shown(data))


_kept: OfLong[Shown] = OfLong(4)
"""A file may hold secrets in clear, and what is kept is only where they are."""


def _shown(data: bytes) -> Shown:
    naming, searches = _searches(data)
    if not searches:
        return Shown()
    text = data.decode()
    found = [one for search in searches for one in islice(search(text), MAX_FINDINGS)]
    return Shown(_placed(text, found) if found else (), naming and re.search(_KEY, data) is not None)


def places(text: str) -> Iterator[tuple[int, int, bool]]:
    """Where all of it begins and ends, however much there is, in no order; and whether it is certain."""
    for search in _searches(text.encode("utf-8", "replace"))[1]:
        for one in search(text):
            yield one.begin, one.end, not one.unsure


_Search = Callable[[str], Iterator["_Found"]]


def _searches(data: bytes) -> tuple[bool, tuple[_Search, ...]]:
    """Whether names of secrets stand in it, and what it may hold: most texts are asked for nothing."""
    naming = _is_naming(data.lower())
    asked = SAID if naming or b"-p" in data or b"-u" in data or b"-cli" in data or b"sudo -" in data else ()
    said = [(what, pattern) for words, what, pattern in asked if any(map(data.__contains__, words))]
    searches: tuple[tuple[object, _Search], ...] = (
        (_has_forms(data), _forms),
        (b"://" in data and re.search(_URL.encode(), data), _urls),
        (said, partial(_commands, said=said)),
        (naming, _assignments),
    )
    return naming, tuple(search for asked_for, search in searches if asked_for)


def _is_naming(lower: bytes) -> bool:
    if any(map(lower.__contains__, _NAMING)):
        return True
    if any(map(lower.__contains__, _SHORT)) and re.search(_SHORT_GIVEN, lower) is not None:
        return True
    return any(part.rstrip(b"_-").endswith(_BEFORE_KEY) for part in lower.split(b"key")[:-1])


def _has_forms(data: bytes) -> bool:
    """Looked for in long words only, of which most files have few."""
    if b"\\" in data:
        data = _ESCAPES.sub(b"  ", data)
    words = dict.fromkeys(data.translate(_TO_WORDS).split())  # large files say the same again and again
    long = [word for word in words if len(word) >= _LONG and not word.startswith(_PUBLIC)]
    return (long and re.search(_FORM.encode(), b" ".join(long)) is not None) or b"PRIVATE KEY" in data


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    unsure: bool
    begin: int
    end: int
    what: str


def _forms(text: str) -> Iterator[_Found]:
    for match in re.finditer(_FORM, text):
        what = _FORMS[(match.lastindex or 1) - 1][0]
        if "EXAMPLE" not in match[0] and (len(set(match[0][4:])) >= _LEAST_LETTERS or what == "a private key"):
            yield _Found(False, *match.span(), what)


def _urls(text: str) -> Iterator[_Found]:
    for match in re.finditer(_URL, text):
        if not (stands_for_a_secret(match["value"]) or _COMPUTED.search(match["value"])):
            yield _Found(False, *match.span("value"), "a password in a URL")


def _commands(text: str, said: list[tuple[str, str]]) -> Iterator[_Found]:
    for what, pattern in said:
        for match in re.finditer(pattern, text):
            group, value = _value(match)
            words = match.groupdict()
            program = next((name for name in _PROGRAMS if words.get(name)), None)
            if program is not None and not _belongs_to(program, text, match.start()):
                continue
            if program == "curl" and value.isdecimal():  # user and group, for another program
                continue
            if "flag" in words and words["flag"] != "=" and not _unlike_a_word(value, quoted=group == "quoted"):
                continue
            if not _computed(value, match):
                yield _Found(True, *match.span(group), what)


def _assignments(text: str) -> Iterator[_Found]:
    for match in re.finditer(_ASSIGNED, text):
        group, value = _value(match)
        if group == "bare" and not match["name"].isupper() and not any(map(str.isdigit, value)):
            continue  # the name of a variable, as in f(token=token), or prose
        if match["short"] and (len(value) < _LEAST_SHORT or " " in value):
            continue  # how many passed, as in PASS=0, or what is said of it
        if not _computed(value, match):
            yield _Found(True, *match.span(group), "a secret")


def _value(match: re.Match[str]) -> tuple[str, str]:
    """The group that holds the value, and the value."""
    return next((name, found) for name in ("quoted", "bare", "text") if (found := match.groupdict().get(name)))


def _computed(value: str, match: re.Match[str]) -> bool:
    """Whether a shell or an expression makes the value. Nothing but `${{ }}` does so between single quotes."""
    quote = match.groupdict().get("quote") or match.groupdict().get("mark") or ""
    if stands_for_a_secret(value):
        return True
    return not quote.endswith("'") and (value.startswith("$") or _COMPUTED.search(value) is not None)


def _unlike_a_word(value: str, *, quoted: bool) -> bool:
    """Whether what follows after a space is a value, and not the next word of a sentence, or the next flag."""
    return not value.startswith("-") and (quoted or not value.isalpha())


_PROGRAMS = {
    "curl": ("curl", "wget"),
    "mysql": ("mysql", "mariadb"),
    "login": tuple(f"{tool} login" for tool in ("docker", "podman", "nerdctl", "buildah", "skopeo", "registry")),
    "redis": ("redis-cli", "valkey-cli"),
}
_COMMAND_LENGTH = 512


def _belongs_to(program: str, text: str, at: int) -> bool:
    """Whether a flag stands in a command of that program, which begins at most 512 characters before it."""
    begins = max(text.rfind(name, max(0, at - _COMMAND_LENGTH), at) for name in _PROGRAMS[program])
    if begins < 0:
        return False
    between = text[begins:at]
    lines = between.splitlines()
    return not re.search(r"[;|]|&&", between) and all(line.rstrip().endswith("\\") for line in lines[:-1])


def _placed(text: str, found: list[_Found]) -> tuple[Leak, ...]:
    """In the order of the text; of those that share characters one, a certain one before others."""
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\n|\r", text))]
    kept: list[_Found] = []
    for one in sorted(found):
        if all(one.end <= other.begin or other.end <= one.begin for other in kept):
            kept.append(one)
    leaks = []
    for one in sorted(kept, key=lambda one: one.begin):
        line = bisect_right(starts, one.begin)
        column = one.begin - starts[line - 1] + 1
        leaks.append(Leak(line, column, one.end - one.begin, one.what, not one.unsure))
    return tuple(leaks)
