"""What people write before and around a secret on a command line or in a header, as regular expressions."""

KEYS = ("api", "access", "private", "secret", "auth", "encryption", "master")
QUOTED = r"""(?P<quote>\\?["'])(?P<quoted>[^"'\n\r\\]+)"""
_BARE = r"""(?P<bare>[^\s"'`\\;|&<>(){}\[\],]+)"""
LITERAL = f"(?:{QUOTED}|{_BARE})"
_COMMAND, _HEADER = "a secret on a command line", "a secret in a header"
_PRINTED = r"(?:echo|printf)[ \t]{1,8}(?:-[A-Za-z]{1,3}[ \t]{1,8})?(?P<quote>\\?[\"'])?"
_WORD_PRINTED = r"""(?P<bare>(?:(?(quote)[;&]|(?!))|[^\s"'`\\|;&]){%s,128}+)"""
_PIPED = r"(?:\\\n|[^|;&\n]){0,200}+\|[ \t]{0,8}"
_BY_SUDO = r"(?:sudo[ \t](?:-[A-Za-z]{1,8}[ \t]{1,8}){0,4})?(?:/usr)?(?:/s?bin/)?"
_FORMAT_ENDS = r"[^\"'\n|]{0,8}[\"']"
_USER = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
_NO_HASH = r"(?!%s|\$[0-9a-z]{1,3}\$)"
_STANDS_BELOW = r"-?[ \t]{0,8}\\?[\"']?\w{1,32}\\?[\"']?[ \t]{0,8}\n\s{0,80}"
_CHPASSWD = rf"{_PIPED}{_BY_SUDO}chpasswd(?![\w.-])"
_TO_CHPASSWD = (
    rf"{_PRINTED}{_USER}:{_NO_HASH}{_WORD_PRINTED % 1}{_CHPASSWD}",
    rf"printf[ \t]{{1,8}}[\"'](?:{_USER}:%s{_FORMAT_ENDS}|%s:%s{_FORMAT_ENDS}[ \t]{{1,8}}[\"']?{_USER}[\"']?)"
    rf"[ \t]{{1,8}}{LITERAL}{_CHPASSWD}",
    rf"chpasswd[^\n<|;]{{0,40}}<<(?:<[ \t]{{0,8}}(?P<quote>\\?[\"'])?|{_STANDS_BELOW}){_USER}:{_NO_HASH}"
    r"""(?P<bare>[^\s"'`\\]{1,128}+)""",
)
"""Lines `user:password`, but for hashes, that are printed for it or stand below it."""
_TO_PROMPT = (
    rf"{_PRINTED}{_WORD_PRINTED % 4}{_PIPED}(?:{_BY_SUDO}passwd[ \t](?:[^\n|;]{{0,80}}[ \t])?--stdin"
    r"|sudo(?:[ \t]{1,8}-(?:[ugp][ \t]{1,8}\S{1,32}|[A-Za-z]{1,8})){0,4}?[ \t]{1,8}-[A-Za-z]{0,4}S[A-Za-z]{0,4})"
    r"(?![\w-])"
)
"""What is printed for a program that asks people for it."""
SAID: tuple[tuple[tuple[bytes, ...], str, str], ...] = tuple(
    (tuple(map(str.encode, words)), what, pattern)
    for words, what, pattern in (
        (("sshpass",), _COMMAND, rf"sshpass[ \t]{{1,8}}-p[ \t]{{0,8}}{LITERAL}"),
        (
            ("curl", "wget"),
            _COMMAND,
            rf"(?<=\s)(?P<curl>-u|--user|--proxy-user)[ \t=]{{0,8}}\\?[\"']?[^\s:\"'`$<>\\]{{1,128}}:{_BARE}",
        ),
        *((("chpasswd",), _COMMAND, pattern) for pattern in _TO_CHPASSWD),
        (("--stdin", "sudo -"), _COMMAND, _TO_PROMPT),
        (("mysql", "mariadb"), _COMMAND, rf"(?<=\s)(?P<mysql>-p){LITERAL}"),
        ((" login",), _COMMAND, rf"(?<=\s)(?P<login>-p)(?:=|[ \t]{{1,8}}){LITERAL}"),
        (("redis-cli", "valkey-cli"), _COMMAND, rf"(?<=\s)(?P<redis>-a)[ \t]{{1,8}}{LITERAL}"),
        (
            tuple(f"--{word}" for word in ("pass", "token", *KEYS, "bearer", "client", "app", "vault")),
            _COMMAND,
            r"(?<=\s)--(?:pass(?:word|wd|phrase)?|token|(?:api|secret|access|private)-?key|(?:client|app)-secret"
            rf"|(?:access|auth|bearer|private|vault)-(?:token|password))(?P<flag>=|[ \t]{{1,8}}){LITERAL}",
        ),
        (
            ("uthorization",),
            _HEADER,
            rf"(?i:authorization)\\?[\"']?[ \t]?[:=][ \t]?\\?[\"']?(?i:bearer|basic|token)(?P<flag>[ \t]){_BARE}",
        ),
        (
            ("-token:", "-Token:", "-TOKEN:", "-key:", "-Key:", "-KEY:"),
            _HEADER,
            rf"(?i:x-[a-z]{{1,16}}-(?:token|key)|private-token|api-key):(?P<flag>[ \t]?){_BARE}",
        ),
        (
            ("ecureString", "ecurestring"),
            _COMMAND,
            rf"(?i:convertto-securestring)[ \t]{{1,8}}(?:(?i:-string)[ \t]{{1,8}})?{QUOTED}",
        ),
    )
)
"""Of what people write on command lines and in headers: words of which each has one, what it is, its pattern."""
