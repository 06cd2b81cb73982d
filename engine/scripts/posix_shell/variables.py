"""Variables whose values programs or bash itself evaluate, and what becomes of a variable's value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

EVALUATED_NAMES = re.compile(
    r"[A-Z_]*_COMMAND|ENV|BASH_ENV|PS[0-9]|EDITOR|VISUAL|PAGER|[A-Z_]*PAGER|[A-Z_]*_EDITOR|[A-Z_]*ASKPASS|LD_[A-Z_]*"
    r"|DYLD_[A-Z_]*|PYTHON(STARTUP|PATH|HOME|INSPECT|WARNINGS|BREAKPOINT)|PERL5(OPT|LIB|DB)|PERLLIB|RUBY(OPT|LIB)"
    r"|NODE_(OPTIONS|PATH)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|IFS|PATH|SHELL|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|CDPATH|FPATH"
    r"|GIT_(SSH|PROXY|EXTERNAL_DIFF|EXEC_PATH|CONFIG.*|TEMPLATE_DIR)|(RSYNC|CVS|BORG)_RSH|SVN_SSH|LESS(OPEN|CLOSE)|LESS"
    r"|RSYNC_CONNECT_PROG|BORG_PASSCOMMAND|BROWSER|HGEDITOR|CVSEDITOR|FCEDIT|LESSKEY.*|FZF_DEFAULT_OPTS|GOFLAGS"
    r"|(GNU)?MAKEF(LAG|ILE)S|RUSTC(_WORKSPACE)?(_WRAPPER)?|JDK_JAVA_OPTIONS|CMAKE_[A-Z]*_COMPILER_LAUNCHER|PERL_MM_OPT"
    r"|MANROFFSEQ|TAR_OPTIONS|GLIBC_TUNABLES|GCONV_PATH|PROMPT_COMMAND|TMUX_TMPDIR|INPUTRC|TERMINFO|HISTFILE"
    r"|EXINIT|VIMINIT|LUA_(INIT|PATH|CPATH).*|PHPRC|PHP_INI_SCAN_DIR|OPENSSL_(CONF|ENGINES)|ANSIBLE_[A-Z_]*"
)
"""Variables whose value programs evaluate, load or search for programs."""
EXECUTED_NAMES = re.compile(
    r"BASH_ENV|PS[0-9]|PROMPT_COMMAND|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|LD_(PRELOAD|AUDIT)|DYLD_INSERT_LIBRARIES"
    r"|PERL5(OPT|DB)|RUBYOPT|PYTHON(STARTUP|BREAKPOINT)|GIT_(SSH|SSH_COMMAND|PROXY_COMMAND|EXTERNAL_DIFF|EDITOR|SEQUENCE_EDITOR|PAGER"
    r"|ASKPASS)|EDITOR|VISUAL|PAGER|MANPAGER|SSH_ASKPASS|SUDO_ASKPASS|(RSYNC|CVS|BORG)_RSH|SVN_SSH|LESS(OPEN|CLOSE)"
    r"|EXINIT|VIMINIT|TAR_OPTIONS|(GNU)?MAKEFLAGS|(SVN|SUDO|KUBE)_EDITOR|HGEDITOR|CVSEDITOR|FCEDIT|RSYNC_CONNECT_PROG"
    r"|BORG_PASSCOMMAND|FZF_DEFAULT_(COMMAND|OPTS)|RUSTC(_WORKSPACE)?(_WRAPPER)?|CMAKE_[A-Z]*_COMPILER_LAUNCHER|GOFLAGS"
)
"""Those of them whose value is a command, code, or the name of either. The others are paths, options and settings."""
COMPUTED_NAMES = frozenset(
    {
        "RANDOM", "SRANDOM", "SECONDS", "OPTIND", "OPTERR", "LINENO", "HISTCMD", "EPOCHSECONDS", "EPOCHREALTIME",
        "BASHPID", "BASH_ARGV0", "BASH_SUBSHELL", "SHLVL", "TMOUT", "HISTSIZE", "HISTFILESIZE", "FUNCNEST", "COLUMNS",
        "LINES", "DIRSTACK", "GROUPS", "FUNCNAME", "PIPESTATUS", "MAILCHECK", "BASH_COMPAT",
    }
)  # fmt: skip
"""Variables of bash that are numbers: what is assigned to them is computed."""
PROMPTS = frozenset({"PS0", "PS4", "PROMPT_COMMAND"})
"""Their texts are expanded once more."""
ANY = "<any>"
"""Any variable: what a name leads to that the script puts together, or does not say."""
_INDIRECT = re.compile(r"\$\{!([A-Za-z_][A-Za-z0-9_]*+|[0-9]++|#)(?![@*]\}|\[[@*]\]\})")
INPUT = "<input>"
"""What goes through a pipe or a here-document, to whoever reads it."""
STDIN = "<stdin>"
"""What the script has on its standard input."""


@dataclass(frozen=True, slots=True)
class Sink:
    """What becomes of a variable's value: it is computed, or evaluated."""

    name: str
    """The variable itself, which others flow into."""
    says: str
    """To be put after the variable's name."""
    hint: str = ""
    """What to do where the value is no number; empty: make it one."""

    def of(self, name: str) -> str:
        """What becomes of the value of the variable `name`, which flows into this one."""
        if name == self.name or not (name.isidentifier() and self.name.isidentifier()):
            return f"{_called(name)}, {self.says}"
        return f"'{name}', and so '{self.name}', {self.says}"


def indirect_in(text: str, start: int, end: int) -> Iterator[str]:
    """`!x` for each `${!x}` in a part of the text, which puts in the value of the variable that x names."""
    for match in _INDIRECT.finditer(text, max(start, 0), max(end, 0)):
        yield f"!{match[1]}"


def computing(name: str) -> Sink:
    return Sink(name, "with which the script computes: bash runs commands in such a value")


def numeric_hint(name: str = "") -> str:
    """What to do where the script computes with what a command prints: into this variable, or into none."""
    variable = name if name.isidentifier() else "n"
    begin = "" if variable == name else f"{variable}=$(...); "
    return (
        f"let the script check the number first: {begin}case ${variable} in ''|*[!0-9]*) exit 2;; esac; "
        "or let the command print nothing else, as 'wc -l < FILE' and 'stat -c %s -- FILE' do"
    )


def _called(name: str) -> str:
    if name.startswith("file:"):
        return f"what is written to '{name.removeprefix('file:')}'"
    if name.endswith("()"):
        return f"what '{name[:-2]}' prints"
    if name == STDIN:
        return "the expression in 'stdin' becomes a variable"
    if name.isidentifier():
        return f"'{name}'"
    return "a variable" if name in (INPUT, ANY) or name.startswith("!") else "an argument of the script"
