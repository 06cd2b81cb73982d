"""Options of programs, and words that stand like options: what follows them, and what of it is code."""

import re

CODE_OPTIONS = re.compile(r"-[ce]|--(command|cmd|execute|eval|rsh|run)|/[ckCK]")
"""Options of any other command, after which a command may stand: `flock -c`, `xterm -e`, `rsync -e`."""
CODE_IN_LONG_OPTION = re.compile(
    r"--([a-z]+-)*(command|exec|eval|script|program|rsh|hook|rsync-path|checkpoint-action)(-[a-z]+)*="
)
"""`--checkpoint-action=exec=...`, `--deploy-hook=...`: what follows is often a command."""
GIT_KEY = re.compile(
    r"alias\.|.*(command|editor|pager|hookspath|helper|textconv|driver|program|askpass|fsmonitor|insteadof|\.cmd"
    r"|\.clean|\.smudge|\.process|uploadpack|receivepack|templatedir|include.*path|vcs|proxy)",
    re.IGNORECASE,
)
"""Settings of git that hold commands."""
GIT_COMMANDS = {
    "clone": r"-[A-Za-z]*u|--upl?[a-z-]*(?:=.*)?",
    "fetch": r"--upl[a-z-]*(?:=.*)?",
    "pull": r"--upl[a-z-]*(?:=.*)?",
    "ls-remote": r"--(?:upl|exe)[a-z-]*(?:=.*)?",
    "push": r"--(?:rec|exe)[a-z-]*(?:=.*)?",
    "archive": r"--exe[a-z-]*(?:=.*)?",
    "rebase": r"-[a-zA-Z]*x|--exe?c?",
    "difftool": r"-[a-zA-Z]*x|--ext[cmd]*",
    "grep": r"-[a-zA-Z]*O|--open[a-z-]*",
    "filter-branch": r"--[a-z]+-filter|--setup",
    "bisect": "run",
    "submodule": "foreach",
}
"""By command of git: its options that take a command, or its word after which one stands."""
LONG_WITH_VALUE = frozenset(
    {
        "--user", "--group", "--other-user", "--host", "--prompt", "--chdir", "--role", "--type", "--close-from",
        "--signal", "--kill-after", "--adjustment", "--class", "--classdata", "--timeout", "--wait", "--unset",
        "--input", "--output", "--error", "--target", "--setuid", "--setgid", "--max-args", "--max-procs",
        "--max-lines", "--arg-file", "--delimiter", "--unit", "--property", "--description", "--slice", "--uid",
        "--gid", "--package", "--replace", "--conflict-exit-code", "--machine", "--setenv", "--env", "--workdir",
        "--namespace", "--container", "--exec", "--pidfile", "--chuid", "--reuid", "--regid",
    }
)  # fmt: skip
SED_OPTIONS = frozenset({"-e", "-f", "-l", "--expression", "--file", "--line-length"})
_FOR_MYSQL = re.compile(
    r"-[ABbCcEfGHiINnoqrsTtUVvw]*[DehPSu]|--(?:host|user|port|database|socket|execute|defaults-(?:extra-)?file"
    r"|default-character-set|protocol|ssl-(?:ca|cert|key|mode)|connect-timeout|login-path|init-command|delimiter)"
)
SQL_OPTIONS = {
    "mariadb": _FOR_MYSQL,
    "mysql": _FOR_MYSQL,
    "psql": re.compile(
        r"-[aAbeEHlnqsStwWxXz01]*[cdfFhLopPRTUv]|--(?:command|dbname|file|host|port|username|set|variable|output|pset"
        r"|log-file|field-separator|record-separator|table-attr)"
    ),
}
"""By client of a database: its options whose value is the next word. Another word after an option is an operand."""
AWK_OPTIONS = frozenset({"-v", "-F", "--assign"})
"""Options whose value is the next word."""
COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"})
"""Operators of `[[ ]]` that evaluate what stands beside them."""
CODE_OPTION = re.compile(
    r"-[A-Za-z]*[cerpPEMC]|--(eval|execute|command|run|print|process-begin|process-end)(=.*)?", re.DOTALL
)
POWERSHELL_COMMAND = re.compile(
    r"[-/](?:c|co(?:m(?:m(?:a(?:nd?)?)?)?)?|commandw[a-z]*|cwa|e|ec|en[a-z]*)(?::.*)?", re.IGNORECASE | re.DOTALL
)
POWERSHELL_FILE = re.compile(r"[-/]f(?:i(?:le?)?)?", re.IGNORECASE)
"""What follows is a script, and arguments to it."""
APT_SETTING = re.compile(
    r"\ue001|[^=]*(?:invoke|pre-install|auto-?detect|dir::bin|command|dpkg::(?:options|tools))",
    re.IGNORECASE,
)
DPKG_HOOK = re.compile(r"--(?:pre|post)-invoke|--status-logger")
"""They run commands: `dpkg --pre-invoke=x`, `apt-get -o DPkg::Pre-Invoke::=x`."""
COMMAND_OPTION = re.compile(r"-(?=[A-Za-z]*c)[A-Za-z]+|--command(=.*)?|-[Ss]|/[ckCK]", re.DOTALL)
