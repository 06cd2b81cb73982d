"""Functions and methods by which a script for Python makes fixed values of fixed values."""

PURE = frozenset(
    {
        "str", "list", "tuple", "set", "frozenset", "dict", "sorted", "reversed", "enumerate", "zip", "range", "min",
        "max", "sum", "abs", "round", "divmod", "any", "all", "repr", "hex", "oct", "bin", "iter", "next", "print",
        "compile", "type", "open", "slice", "id", "callable", "ascii", "object",
    }
)  # fmt: skip
"""Built-in functions that put nothing into their arguments; `print` does only by `file=`."""
LISTING = frozenset({"list", "tuple", "sorted", "reversed", "iter", "set", "frozenset", "enumerate", "zip"})
"""Those whose result holds what the argument holds."""
OF_TEXTS = frozenset({"str", "range", "min", "max", "sum", "abs", "round", "divmod", "repr"})
"""Those that make texts or numbers of numbers."""
CALLING = frozenset({"map", "filter", "sorted", "min", "max", "reduce", "starmap", "submit"})
"""Those that give the elements of an argument to another."""
WORLD = {
    "os": frozenset(
        {
            "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getlogin", "cpu_count", "uname",
            "listdir", "scandir", "walk", "stat", "lstat", "access", "getcwd", "fspath", "statvfs", "urandom",
            "makedirs", "mkdir", "remove", "unlink", "rename", "replace", "chmod", "chown", "chdir", "readlink",
            "umask", "rmdir", "getloadavg", "symlink", "kill", "getenv", "get_terminal_size", "sched_getaffinity",
        }
    ),
    **dict.fromkeys(
        (
            "os.path", "posixpath", "datetime", "time", "calendar", "platform", "pathlib", "shutil", "glob", "fnmatch",
            "getpass", "pwd", "grp", "uuid", "random", "secrets", "math", "statistics", "json", "csv", "configparser",
            "tomllib", "re", "string", "textwrap", "shlex", "hashlib", "subprocess", "itertools", "collections",
            "zoneinfo", "ipaddress", "decimal", "fractions", "tempfile", "sysconfig", "signal", "stat", "argparse",
            "copy", "gzip", "zipfile", "tarfile", "urllib.parse", "urllib", "socket", "enum", "dataclasses",
            "typing", "base64", "binascii", "concurrent.futures", "xml.etree.ElementTree", "fileinput", "locale",
        )
    ),
}  # fmt: skip
"""Modules whose functions give fixed values where they are given such: they read the machine and its files, which are
no value of an expression. None: all of them."""
CARRYING = frozenset({"argv", "orig_argv", "stdin", "__stdin__", "modules", "path", "exc_info", "last_value"})
"""Attributes of `sys` that are not fixed."""
IMMUTABLE_OF = frozenset(
    {
        "os.path", "posixpath", "datetime", "time", "platform", "pathlib", "getpass", "uuid", "math", "secrets",
        "random", "decimal", "fractions", "zoneinfo", "ipaddress", "statistics", "textwrap", "sysconfig", "locale",
        "base64", "binascii", "urllib.parse", "hashlib", "pwd", "grp", "stat", "re",
    }
)  # fmt: skip
"""Modules whose functions give what cannot change."""
OF_NUMBERS = frozenset(
    {"datetime", "time", "math", "calendar", "decimal", "fractions", "random", "statistics", "secrets"}
)
"""Modules whose functions make of numbers nothing but numbers and times."""
FLAT_OF = frozenset({"glob", "iglob", "listdir", "run", "check_output", "getoutput", "split", "getstatusoutput"})
TEXTS = frozenset({"which", "gethostname", "getfqdn", "gethostbyname", "getcwd", "getlogin", "getenv", "dumps", "uname",
                   "mkdtemp", "gettempdir", "quote", "join", "fspath", "getpid", "getuid", "geteuid"})  # fmt: skip
METHODS_OF_TEXT = frozenset(
    {
        "format", "join", "strip", "lstrip", "rstrip", "replace", "split", "rsplit", "splitlines", "upper", "lower",
        "title", "capitalize", "casefold", "center", "ljust", "rjust", "zfill", "expandtabs", "encode", "decode",
        "removeprefix", "removesuffix", "partition", "rpartition", "strftime", "isoformat", "ctime", "timestamp",
        "date", "time", "isocalendar", "total_seconds", "weekday", "isoweekday", "swapcase", "hex", "startswith",
        "endswith", "count", "index", "find", "rfind", "isdigit", "astimezone", "with_suffix", "with_name", "joinpath",
        "with_stem", "as_posix", "relative_to", "expanduser", "resolve", "absolute", "exists", "is_file", "is_dir",
        "year", "month", "day", "hour", "minute", "second", "days", "seconds", "hexdigest", "format_map",
    }
)  # fmt: skip
"""Methods of what cannot change; of numbers and times they make numbers and texts of such."""
PARTING = frozenset({"split", "rsplit", "splitlines", "glob", "rglob", "iterdir", "groups", "findall", "finditer"})
"""Methods of what cannot change that give a list."""
READING = frozenset(
    {
        "items", "keys", "values", "read", "readline", "readlines", "read_text", "read_bytes", "glob", "rglob",
        "iterdir", "group", "groups", "match", "search", "fullmatch", "findall", "finditer", "sub", "poll", "close",
        "stat", "is_alive", "copy", "hexdigest", "difference", "union", "intersection", "issubset", "get", "mkdir",
        "write_text", "write_bytes", "unlink", "touch", "rename", "chmod", "raise_for_status", "info", "debug",
        "warning", "error", "critical", "exception", "log", "post", "delete", "patch", "head", "request",
    }
)  # fmt: skip
"""Methods that put none of their arguments into their object."""
FIELDS = frozenset(
    {
        "stdout", "stderr", "returncode", "name", "parent", "parents", "stem", "suffix", "suffixes", "parts", "year",
        "month", "day", "hour", "minute", "second", "days", "seconds", "st_size", "st_mtime", "st_mode", "pw_dir",
        "pw_name", "gr_name", "total", "used", "free", "node", "nodename", "sysname", "release", "machine", "text",
        "value", "status_code", "ok", "headers", "path", "pid", "args", "stdin", "hostname", "netloc", "port",
    }
)  # fmt: skip
"""Attributes that are no methods of what changes."""
