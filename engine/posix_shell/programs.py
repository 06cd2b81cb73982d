"""Names of commands, and what they make of their words. Scripts for PowerShell and Python run the same programs."""

import re

from engine.posix_shell.pieces import ASSIGNMENT

LEADING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"})
"""Words after which a command follows."""
CLOSING = frozenset({"fi", "done", "esac", "}"})
DECLARING = frozenset({"export", "readonly", "local", "declare", "typeset"})
EVALUATING = frozenset(
    {
        "let", "trap", "source", ".", "alias", "read", "unset", "getopts", "mapfile", "readarray", "bind", "complete",
        "compgen", "enable", "hash", "watch", "parallel", "ed", "ex", "at", "batch", "make", "gmake", "coproc",
        "script", "screen", "salt", "cmd", "entr", "dc", "bc", "less",
    }
)  # fmt: skip
"""Commands that evaluate their words, where they stand as a command: `docker build .` sources nothing."""
CARRYING = frozenset(
    {
        "eval", "ssh", "autossh", "sshpass", "rsh", "mosh", "plink", "pdsh", "pssh", "parallel-ssh", "clush", "sed",
        "gsed", "vi", "vim", "nvim", "emacs", "gdb", "expect", "tclsh", "m4", "su", "sg", "runuser", "tmux", "xterm",
        "uxterm", "rxvt", "urxvt", "konsole", "gnome-terminal", "salt-ssh", "salt-call", "cmd.exe", "psexec",
        "winexe", "wmic", "winrs", "socat", "consul",
    }
)  # fmt: skip
"""Commands that evaluate what follows them wherever they stand: `docker exec x sed ...`, `gcloud compute ssh ...`."""
SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "fish", "csh", "tcsh", "rbash", "busybox", "toybox",
     "pwsh", "powershell", "cmd", "pwsh.exe", "powershell.exe", "cmd.exe", "bash.exe"}
)  # fmt: skip
TAKING_DATA = frozenset(
    {
        "echo", "printf", "logger", "test", "[", "[[", "for", "select", "case", "grep", "egrep", "fgrep", "zgrep",
        "cat", "ls", "mkdir", "rmdir", "rm", "cp", "mv", "ln", "touch", "chmod", "chown", "chgrp", "stat",
        "date", "df", "du", "tr", "cut", "head", "tail", "tee", "wc", "basename", "dirname", "realpath", "truncate",
        "readlink", "cd", "mail", "systemctl", "journalctl", "id", "kill", "true", "false", ":", "exit",
        "return", "set", "shift", "curl", "wget", "ping", "hostnamectl", "apt-get", "apt", "dnf", "yum", "dpkg",
        "zypper", "apk", "jq", "sleep", "seq", "expr", "uniq", "diff", "cmp", "md5sum", "sha256sum", "gzip", "gunzip",
        "useradd", "usermod", "userdel", "groupadd", "groupdel", "adduser", "deluser", "chsh", "chage", "passwd",
        "pgrep", "pkill", "killall", "mount", "umount", "findmnt", "mountpoint", "timedatectl", "loginctl", "getent",
        "host", "dig", "nslookup", "file", "column", "fold", "paste", "nproc", "free", "uptime", "lsof", "ss", "pip",
        "pip3", "xz", "unxz", "zstd", "bzip2", "cksum", "sha1sum", "sha512sum", "base64", "sysctl", "modprobe", "jobs",
        "wait",
    }
)  # fmt: skip
"""Commands none of whose words are commands: `echo started at ...` starts nothing."""
TAKING_OPTIONS = frozenset(
    {
        "rpm", "sort", "install", "docker", "podman", "nerdctl", "docker-compose", "kubectl", "oc", "helm", "pg_dump",
        "pg_dumpall", "pg_restore", "mysqldump", "mariadb-dump", "certbot", "aws", "az", "gcloud", "unzip", "zip",
        "openssl", "gpg", "restic", "borg", "rclone", "lxc", "gcc", "cc", "fio", "iperf3", "traceroute", "nmap",
        "snmpget", "snmpwalk", "virsh", "sftp", "scp", "ip", "tar", "tcpdump", "htpasswd", "nginx", "haproxy", "ab",
        "wrk", "ffmpeg", "chpasswd", "ps", "svn", "b2sum", "cryptsetup", "iptables", "nft", "cargo", "go", "terraform",
        "crictl",
    }
)  # fmt: skip
"""Commands whose `-c` and `-e` take data: `docker run -e A=x`, `kubectl logs -c x`."""
CODE_OPTIONS = re.compile(r"-[ce]|--(command|cmd|execute|eval|rsh|run)|/[ckCK]")
"""Options of any other command, after which a command may stand: `flock -c`, `xterm -e`, `rsync -e`."""
OWN_CODE_OPTIONS = {
    "ansible": re.compile(r"-a|--args|-e|--extra-vars|-m|--module-name"),
    "ansible-playbook": re.compile(r"-e|--extra-vars"),
    "tar": re.compile(r"-I|-F|--use-compress-program|--to-command|--info-script|--new-volume-script"),
    "sftp": re.compile(r"-o|-S|-D"),
    "scp": re.compile(r"-o|-S"),
    "systemd-run": re.compile(r"-p|--property"),
    "rsync": re.compile(r"-e|--rsh|--rsync-path"),
    "nc": re.compile(r"-[ce]"),
    "ncat": re.compile(r"-[ce]"),
    "wget": re.compile(r"--use-askpass"),
    "git": re.compile(r"--upload-pack|--receive-pack|--exec"),
    "gdb": re.compile(r"-ex|-iex"),
    "sqlcmd": re.compile(r"-[QqV]"),
    "rpm": re.compile(r"-E|-D|--define"),
    "zip": re.compile(r"-TT|--unzip-command"),
    "npm": re.compile(r"-c|--call"),
    "influx": re.compile(r"-execute"),
}
"""Options after which this command takes a command, or a text that it evaluates."""
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
RUNNERS = {
    "sudo": (0, "CDghprRtTuU"), "doas": (0, "uC"), "env": (0, "uCS"), "nohup": (0, ""), "nice": (0, "n"),
    "ionice": (0, "cnpPu"), "timeout": (1, "ks"), "exec": (0, "a"), "command": (0, ""), "builtin": (0, ""),
    "time": (0, "fo"), "setsid": (0, ""), "stdbuf": (0, "ioe"), "chroot": (1, ""), "xargs": (0, "IinPLldEsa"),
    "flock": (1, "wE"), "chrt": (1, "TPD"), "taskset": (1, ""), "unshare": (0, "SGR"), "nsenter": (0, "tSG"),
    "systemd-run": (0, "HMptEu"), "strace": (0, "eopsuPaISbX"), "ltrace": (0, "eopsuanFl"), "npx": (0, "pc"),
    "bunx": (0, ""), "setpriv": (0, ""), "pkexec": (0, ""), "dbus-run-session": (0, ""), "unbuffer": (0, ""),
    "fakeroot": (0, "ilsb"), "gosu": (1, ""), "su-exec": (1, ""), "setuidgid": (1, ""), "chpst": (0, "uUbePpmodcsfl"),
    "tini": (0, "pe"), "dumb-init": (0, "r"), "eatmydata": (0, ""), "cpulimit": (0, "lpe"), "numactl": (0, "NmCip"),
    "prlimit": (0, ""), "runcon": (0, "trul"), "choom": (0, "np"), "cgexec": (0, "g"), "firejail": (0, ""),
    "torsocks": (0, ""), "proxychains": (0, "f"), "proxychains4": (0, "f"), "valgrind": (0, ""), "faketime": (1, ""),
    "caffeinate": (0, "tw"), "sem": (0, "j"), "catchsegv": (0, ""), "systemd-inhibit": (0, ""), "softlimit": (0, ""),
    "chronic": (0, ""), "logsave": (1, ""), "daemonize": (0, "aceoplu"), "start-stop-daemon": (0, "anpxcugsrdNkIPRVS"),
}  # fmt: skip
"""Commands after whose options a command stands: how many operands stand before it, and which short options take the
next word."""
EXECUTORS = {
    "docker": 1, "podman": 1, "nerdctl": 1, "docker-compose": 1, "kubectl": 1, "oc": 1, "lxc": 1, "incus": 1, "ip": 1,
    "crictl": 1, "bundle": 0, "npm": 0, "pnpm": 0, "yarn": 0,
}  # fmt: skip
"""Commands whose word `exec` starts another, after so many operands: the container, the pod."""
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
CLIENTS = frozenset({"psql", "mysql", "mariadb", "sqlite", "sqlite3", "mongo", "mongosh", "sqlplus"})
"""Interpreters that take options after their operands, too."""
OWN_SCRIPT = re.compile(r"\.\.?/[^ ]+|(?!/dev/|/proc/)[A-Za-z0-9_./~][^ ]*\.(sh|bash|ksh|py|pl|rb|js|php)")
"""A script of the author, by its name."""
SEDS = frozenset({"sed", "gsed"})
SED_OPTIONS = frozenset({"-e", "-f", "-l", "--expression", "--file", "--line-length"})
AWKS = frozenset({"awk", "gawk", "mawk", "nawk"})
AWK_OPTIONS = frozenset({"-v", "-F", "--assign"})
"""Options whose value is the next word."""
READING_COMMANDS = AWKS | {"at", "batch", "crontab", "source", ".", "xargs", "parallel", "ssh", "rsh"}
"""Commands beside shells and interpreters that may read commands from standard input."""
READING_LINES = frozenset(
    {
        "ftp", "lftp", "sftp", "ed", "ex", "gdb", "isql", "sqlcmd", "redis-cli", "influx", "debugfs", "newgrp", "login",
        "machinectl", "tclsh", "wish", "expect", "m4", "gnuplot", "octave", "maxima", "gp", "julia", "vi", "vim",
        "nvim", "emacs", "virsh", "smbclient", "telnet", "at", "batch", "parted", "fdisk", "rsh",
    }
)  # fmt: skip
"""Programs that take a line of their input for a command, some with `!` for a shell."""
STARTING_NOTHING = frozenset(
    {
        "command", "builtin", "env", "nice", "ionice", "time", "xargs", "flock", "chrt", "taskset", "prlimit", "choom",
        "numactl", "strace", "ltrace", "start-stop-daemon", "systemd-inhibit", "cpulimit", "sem",
    }
)  # fmt: skip
"""Runners that are no shell where no command follows: `env`, `flock 9`."""
READING_DATA = (
    (
        TAKING_DATA
        | TAKING_OPTIONS
        | {
            "read",
            "mapfile",
            "readarray",
            "find",
            "git",
            "nc",
            "ncat",
            "netcat",
            "sendmail",
            "mutt",
            "msmtp",
            "sponge",
            "pv",
            "nl",
            "rev",
            "tac",
            "shuf",
            "od",
            "xxd",
            "hexdump",
            "strings",
            "fmt",
            "pr",
            "expand",
            "unexpand",
            "comm",
            "join",
            "split",
            "csplit",
            "dd",
            "iconv",
            "dos2unix",
            "unix2dos",
            "yq",
            "xmllint",
            "envsubst",
            "wall",
            "write",
            "lp",
            "lpr",
            "cpio",
            "sha224sum",
            "sha384sum",
            "numfmt",
            "ts",
            "ldapadd",
            "ldapmodify",
            "mosquitto_pub",
            "vault",
            "xclip",
            "systemd-cat",
            "age",
            "rg",
            "lz4",
            "brotli",
            "bunzip2",
            "zcat",
            "http",
            "https",
            "sed",
            "gsed",
            "rsync",
            "update-ca-certificates",
            "service",
            "ansible-vault",
        }
    )
    - {"nft", "mail", "ip", "gcloud", "fio", "haproxy", "nginx", "systemctl", "go", "cargo", "terraform", "gcc", "cc"}
    - READING_LINES
)
"""Commands that take what is in their input as data; of the others nobody knows. Not mail: GNU mailutils before 3.13
runs `~! command` in a message (CVE-2021-32749)."""
COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"})
"""Operators of `[[ ]]` that evaluate what stands beside them."""
REMOTE = frozenset({"scp", "rsync"})
"""Commands that, in versions still in use, give a path on another machine to the shell there."""

EVALUATED_NAMES = re.compile(
    r"[A-Z_]*_COMMAND|ENV|BASH_ENV|PS[0-9]|EDITOR|VISUAL|PAGER|[A-Z_]*PAGER|[A-Z_]*_EDITOR|[A-Z_]*ASKPASS|LD_[A-Z_]*"
    r"|DYLD_[A-Z_]*|PYTHON(STARTUP|PATH|HOME|INSPECT|WARNINGS|BREAKPOINT)|PERL5(OPT|LIB|DB)|PERLLIB|RUBY(OPT|LIB)"
    r"|NODE_(OPTIONS|PATH)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|IFS|PATH|SHELL|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|CDPATH|FPATH"
    r"|GIT_(SSH|PROXY|EXTERNAL_DIFF|EXEC_PATH|CONFIG.*|TEMPLATE_DIR)|RSYNC_RSH|CVS_RSH|LESS(OPEN|CLOSE)|LESS|BROWSER"
    r"|MANROFFSEQ|TAR_OPTIONS|MAKEFLAGS|GLIBC_TUNABLES|GCONV_PATH|PROMPT_COMMAND|TMUX_TMPDIR|INPUTRC|TERMINFO|HISTFILE"
    r"|EXINIT|VIMINIT|LUA_(INIT|PATH|CPATH).*|PHPRC|PHP_INI_SCAN_DIR|OPENSSL_(CONF|ENGINES)|ANSIBLE_[A-Z_]*"
)
"""Variables whose value programs evaluate, load or search for programs."""
COMPUTED_NAMES = frozenset(
    {
        "RANDOM", "SRANDOM", "SECONDS", "OPTIND", "OPTERR", "LINENO", "HISTCMD", "EPOCHSECONDS", "EPOCHREALTIME",
        "BASHPID", "BASH_ARGV0", "BASH_SUBSHELL", "SHLVL", "TMOUT", "HISTSIZE", "HISTFILESIZE", "FUNCNEST", "COLUMNS",
        "LINES", "DIRSTACK", "GROUPS", "FUNCNAME", "PIPESTATUS", "MAILCHECK", "BASH_COMPAT",
    }
)  # fmt: skip
"""Variables of bash that are numbers: what is assigned to them is computed."""

INTERPRETERS = re.compile(
    r"(python|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|Rscript|osascript|psql|mysql|mariadb|sqlite3?|mongo|mongosh"
    r"|sqlplus|bc|dc|guile|ghc|scala|groovy|jshell|R)[0-9.]*"
)
CODE_OPTION = re.compile(
    r"-[A-Za-z]*[cerpPEMC]|--(eval|execute|command|run|print|process-begin|process-end)(=.*)?", re.DOTALL
)
COMMAND_OPTION = re.compile(r"-(?=[A-Za-z]*c)[A-Za-z]+|--command(=.*)?|-[Ss]|/[ckCK]", re.DOTALL)
_STANDARD_INPUT = frozenset({"", "-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "stdin", "0"})


def interprets(name: str) -> bool:
    """Whether it is a shell or an interpreter."""
    return name in SHELLS or INTERPRETERS.fullmatch(name) is not None


def plain(name: str) -> bool:
    """Whether a word may well be a command or a script: no option, no number, no assignment."""
    return bool(name) and not name.startswith("-") and not name[:1].isdigit() and not ASSIGNMENT.match(name)


def is_input(name: str) -> bool:
    """Whether a file's name may mean standard input."""
    return name in _STANDARD_INPUT
