"""What each program makes of its words, and of its standard input: one row for the programs that are alike.

A program that stands in no row is unknown: a value may be one of its words, unless it follows `-c`, `-e` or the like,
and does not go to its input.
"""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Words = Literal["data", "options", "names", "evaluated", "carried", "unknown"]
"""What a program makes of its words.

    data        none of them is a command: `echo sh -c x` starts nothing
    options     as of an unknown program, but `-c` and `-e` take data: `docker run -e A=x`
    names       they are assignments to variables, or names of variables
    evaluated   any of them may be evaluated, where the program stands as a command: `docker build .` sources nothing
    carried     the same wherever the program stands: `docker exec x sed ...`, `gcloud compute ssh ...`
"""
Input = Literal["commands", "data", "unknown"]
"""What a program makes of its standard input."""
Language = Literal["shell", "sed", "awk", "sql", "code"]
"""What a program reads in its script; `sql` may take options after its operands, too."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A command follows the program's options."""

    operands: int = 0
    """How many words stand before it that are no options: `timeout 5 ls` has one."""
    valued: str = ""
    """The short options that take the next word."""
    at_once: bool = False
    """The operands stand before all options, or are left out."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of a program; of one that runs another, `input` is meant where no command follows it."""

    words: Words = "unknown"
    input: Input = "unknown"
    language: Language | None = None
    runs: Runs | None = None
    executes: int | None = None
    """The word `exec` starts another program, after so many operands: the container, the pod."""
    code_options: re.Pattern[str] | None = None
    """Options after which it takes a command, or a text that it evaluates."""
    remote: bool = False
    """Versions still in use give a path on another machine to the shell there."""

    valued_before_host: str = ""
    """Of ssh: the short options that take the next word. The first operand, and so the machine, stands after them."""
    instead: str = ""
    """What to write where it would evaluate a value."""

    @property
    def interprets(self) -> bool:
        """Whether it is a shell or an interpreter."""
        return self.language in ("shell", "sql", "code")


_AS_ARGUMENT = "give it to the script as an argument: sh -c 'ls -- \"$1\"' _ VALUE"
_AS_INPUT = "send it as input: echo VALUE | ssh HOST 'read -r x; ls -- \"$x\"'"
_AS_WORD = "run the program itself, with the value as one of its arguments"
_SSH_VALUED = "BbcDEeFIiJLlmOopPQRSWwM"
_FOR_AWK = "give it by a variable: awk -v name=VALUE '{print name}'"
_FOR_SED = "sed runs commands, too; awk takes it by a variable: awk -v name=VALUE '{ ... }'"
_FOR_SQL = "give it as a parameter: psql -v name=VALUE -f query.sql, with :'name' in the query"
_FOR_HG = re.compile(
    r"-e|--ssh|--remotecmd|-t|--tool|--config(?==)|(?:--config=)?(?:alias|hooks|extensions|schemes|[a-z]+-tools|extdiff"
    r"|pager|trusted|ui\.(?:editor|ssh|merge|remotecmd|askpass)|.*\.(?:cmd|command))\b.*",
    re.DOTALL,
)

_ROWS = (
    # They print, compare, move or set what they are told.
    (
        Program("data", "data"),
        ": [ [[ adduser apk apt apt-cache apt-get apt-mark aptitude base64 basename "
        "bzip2 case cat cd chage chgrp chmod chown chsh cksum cmp "
        "column cp curl cut date deluser df diff dig dirname dnf dpkg du echo egrep exit expr false fgrep file "
        "findmnt fold for free getent grep groupadd groupdel gunzip gzip head host hostnamectl id jobs journalctl "
        "jq kill killall ln logger loginctl ls lsof md5sum mkdir modprobe mount mountpoint mv nproc nslookup "
        "passwd paste pgrep ping pip pip3 pkill printf readlink realpath return rm rmdir select seq set sha1sum "
        "sha256sum sha512sum shift sleep ss stat sysctl tail tee test timedatectl touch tr true truncate umount "
        "uniq unxz uptime useradd userdel usermod wait wc xz yum zgrep zstd zypper",
    ),
    (Program("options", "data", code_options=re.compile(r"-e|--execute|--use-askpass")), "wget"),
    # GNU mailutils before 3.13 runs `~! command` in a message (CVE-2021-32749); systemctl edits units from its input.
    (Program("data"), "mail systemctl"),
    # Some have options that run a command, or start one given as an operand; all read data.
    (
        Program(input="data"),
        "age ansible-vault brotli bunzip2 comm cpio csplit dd dos2unix envsubst expand find fmt hexdump http "
        "https iconv join ldapadd ldapmodify lp lpr lz4 mosquitto_pub msmtp mutt netcat nl numfmt od pr pv rev "
        "sendmail service sha224sum sha384sum shuf sponge strings systemd-cat tac ts unexpand unix2dos "
        "update-ca-certificates vault wall write xclip xmllint xxd yq zcat",
    ),
    (Program("options", "data", code_options=re.compile(r"--(pre|hostname-bin)(=.*)?", re.DOTALL)), "rg"),
    (Program(code_options=re.compile(r"-[A-Za-z]*[xX]|-[ce]|--exec(-batch)?(=.*)?", re.DOTALL)), "fd fdfind"),
    (Program(code_options=re.compile(r"-(eval|run|s|[ce])")), "erl"),
    (Program(code_options=re.compile(r"-[gtce]|--goal(=.*)?", re.DOTALL)), "swipl"),
    (Program(input="data", code_options=re.compile(r"--f(i(l(t(er?)?)?)?)?|-[ce]")), "split"),
    (Program(code_options=re.compile(r"-[PH]|--p(a(g(er?)?)?)?|--html|-[ce]")), "man"),
    (Program(input="data", code_options=re.compile(r"-[ce]")), "nc ncat"),
    (Program(input="data", code_options=re.compile(r"--upload-pack|--receive-pack|--exec")), "git"),
    (Program("options", "data", code_options=_FOR_HG), "hg"),
    (Program(input="data", code_options=re.compile(r"-e|--rsh|--rsync-path"), remote=True), "rsync"),
    # `-c` and `-e` are a file, a container, a variable or a count.
    (
        Program("options", "data"),
        "ab aws az b2sum borg certbot chpasswd cryptsetup ffmpeg gpg helm htpasswd install iperf3 iptables "
        "mariadb-dump mysqldump nmap openssl pg_dump pg_dumpall pg_restore ps rclone restic snmpget snmpwalk "
        "svn traceroute unzip wrk",
    ),
    (
        Program(
            "options",
            "data",
            code_options=re.compile(r"-I|-F|--use-compress-program|--to-command|--info-script|--new-volume-script"),
        ),
        "tar",
    ),
    (Program("options", "data", code_options=re.compile(r"--co[a-z-]*")), "sort"),
    (Program("options", "data", code_options=re.compile(r"-[A-Za-z]*z")), "tcpdump"),
    (Program("options", "data", code_options=re.compile(r"-E|-D|--define")), "rpm"),
    (Program("options", "data", code_options=re.compile(r"-TT|--unzip-command")), "zip"),
    (Program("options", "data", code_options=re.compile(r"-o|-S"), remote=True), "scp"),
    # The same, and what is in their input may be rules, code or a configuration with commands in it.
    (Program("options"), "cargo fio gcloud haproxy nft nginx terraform"),
    (Program("options", code_options=re.compile(r"-wrapper")), "cc gcc"),
    (Program("options", code_options=re.compile(r"--?(toolexec|exec)(=.*)?", re.DOTALL)), "go"),
    (Program(code_options=re.compile(r"-m|--mail(=.*)?|-[ce]", re.DOTALL)), "logrotate"),
    (Program(code_options=re.compile(r"-bem?|-[ce]")), "exim exim4"),
    (Program("options", "commands"), "virsh"),
    (Program("options", "commands", code_options=re.compile(r"-o|-S|-D")), "sftp"),
    # Their word `exec` starts another program.
    (
        Program("options", "data", executes=1, code_options=re.compile(r"--entrypoint(=.*)?", re.DOTALL)),
        "crictl docker docker-compose kubectl lxc nerdctl oc podman",
    ),
    (Program("options", executes=1), "ip"),
    (Program(executes=1), "incus"),
    (Program(executes=0), "bundle pnpm yarn"),
    (Program(executes=0, code_options=re.compile(r"-c|--call")), "npm"),
    # Words of the shell that set variables.
    (Program("names", instead="write the name in the script"), "declare export local readonly typeset"),
    # Words of the shell, and programs, that compute, define or run what they are told.
    (
        Program("evaluated", instead=_AS_WORD),
        "alias bind compgen complete coproc enable entr fc hash history hyperfine less let make parallel salt "
        "screen script watch",
    ),
    (Program("evaluated", instead="write in single quotes what it runs: trap 'rm -f -- \"$x\"' EXIT"), "trap"),
    (Program("evaluated", instead="write in the script which file it reads"), ". source"),
    (Program("evaluated", instead="write the name in the script"), "getopts unset"),
    (Program("evaluated", "data", instead="write the name in the script"), "mapfile read readarray"),
    (Program("evaluated", "commands"), "at batch ed ex"),
    (Program("evaluated", language="code"), "bc dc"),
    # They hand their words to a shell, here, as another user, in a terminal or on another machine.
    (
        Program("carried", instead=_AS_WORD),
        "consul eval gnome-terminal konsole rxvt socat tmux urxvt uxterm wmic xterm",
    ),
    (Program("carried", instead=_AS_ARGUMENT), "runuser sg su"),
    (Program("carried", instead=_AS_INPUT, valued_before_host=_SSH_VALUED), "autossh ssh"),
    (
        Program("carried", instead=_AS_INPUT),
        "clush mosh parallel-ssh pdsh plink psexec pssh salt-call salt-ssh winexe winrs",
    ),
    (Program("carried", "commands"), "emacs expect m4 nvim rsh tclsh vi vim"),
    (Program("carried", "commands", code_options=re.compile(r"-ex|-iex")), "gdb"),
    (Program("carried", "data", "sed", instead=_FOR_SED), "sed"),
    # A line of their input is a command, with some of them after `!`.
    (
        Program(input="commands"),
        "debugfs fdisk ftp gnuplot gp isql julia lftp login machinectl maxima newgrp octave parted redis-cli "
        "smbclient telnet wish",
    ),
    (Program(input="commands", code_options=re.compile(r"-execute")), "influx"),
    (Program(input="commands", code_options=re.compile(r"-[QqV]")), "sqlcmd"),
    # Shells and interpreters.
    (
        Program(language="shell", instead=_AS_ARGUMENT),
        "ash bash bash.exe csh dash fish ksh ksh93 mksh powershell powershell.exe pwsh pwsh.exe rbash sh tcsh zsh",
    ),
    (Program("evaluated", language="shell", instead=_AS_WORD), "cmd"),
    (Program("carried", language="shell", instead=_AS_WORD), "cmd.exe"),
    (Program(language="sql", instead=_FOR_SQL), "mongo mongosh psql sqlite sqlite3 sqlplus"),
    (
        Program(language="sql", instead=_FOR_SQL, code_options=re.compile(r"-[ce]|--pa[a-z]*(=.*)?", re.DOTALL)),
        "mariadb mysql",
    ),
    (Program(language="awk", instead=_FOR_AWK), "awk gawk mawk nawk"),
    # Their options take modules, tasks and variables, which hold commands.
    (Program(code_options=re.compile(r"-a|--args|-e|--extra-vars|-m|--module-name")), "ansible"),
    (Program(code_options=re.compile(r"-e|--extra-vars")), "ansible-playbook"),
)
_STARTING_SHELLS = (
    ("sudo", 0, "CDghprRtTuU"), ("doas", 0, "uC"), ("nohup", 0, ""), ("timeout", 1, "ks"), ("exec", 0, "a"),
    ("setsid", 0, ""), ("stdbuf", 0, "ioe"), ("chroot", 1, ""), ("unshare", 0, "SGR"), ("nsenter", 0, "tSG"),
    ("systemd-run", 0, "HMptEu"), ("npx", 0, "pc"), ("bunx", 0, ""), ("setpriv", 0, ""), ("pkexec", 0, ""),
    ("dbus-run-session", 0, ""), ("unbuffer", 0, ""), ("fakeroot", 0, "ilsb"), ("gosu", 1, ""), ("su-exec", 1, ""),
    ("setuidgid", 1, ""), ("chpst", 0, "uUbePpmodcsfl"), ("tini", 0, "pe"), ("dumb-init", 0, "r"), ("eatmydata", 0, ""),
    ("runcon", 1, "trul"), ("setarch", 1, ""), ("linux32", 0, ""), ("linux64", 0, ""), ("i386", 0, ""),
    ("x86_64", 0, ""), ("uname26", 0, ""), ("proot", 0, "rbmwqkSR"), ("lxc-attach", 0, "nfolPsugv"),
    ("cgexec", 0, "g"), ("firejail", 0, ""), ("torsocks", 0, ""), ("proxychains", 0, "f"),
    ("proxychains4", 0, "f"), ("valgrind", 0, ""), ("faketime", 1, ""), ("caffeinate", 0, "tw"), ("catchsegv", 0, ""),
    ("sshpass", 0, "pfdP"), ("softlimit", 0, ""), ("chronic", 0, ""), ("logsave", 1, ""), ("daemonize", 0, "aceoplu"),
)  # fmt: skip
"""Programs after whose options a command stands, with `Runs`; where none does, they may start a shell."""
_STARTING_NOTHING = (
    ("env", 0, "uCS"), ("nice", 0, "n"), ("ionice", 0, "cnpPu"), ("command", 0, ""), ("builtin", 0, ""),
    ("time", 0, "fo"), ("xargs", 0, "IinPLldEsa"), ("flock", 1, "wE"), ("chrt", 1, "TPD"), ("taskset", 1, ""),
    ("strace", 0, "eopsuPaISbX"), ("ltrace", 0, "eopsuanFl"), ("cpulimit", 0, "lpe"), ("numactl", 0, "NmCip"),
    ("prlimit", 0, ""), ("busybox", 0, ""), ("toybox", 0, ""), ("xvfb-run", 0, "efnpsw"),
    ("ssh-agent", 0, "aEOPt"), ("k3s", 0, ""), ("k0s", 0, ""), ("microk8s", 0, ""), ("minikube", 0, "p"),
    ("choom", 0, "np"), ("sem", 0, "j"), ("systemd-inhibit", 0, ""),
    ("start-stop-daemon", 0, "anpxcugsrdNkIPRVS"),
)  # fmt: skip
"""The same, but where no command follows they are no shell: `env`, `flock 9`."""
_GNU = (
    "[ b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir "
    "dirname du echo ed egrep env expand expr factor false fgrep find fmt fold grep groups head hostid id install join "
    "kill link ln locate logname ls m4 make md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste "
    "patch pathchk pinky pr printenv printf ptx pwd readlink realpath rm rmdir runcon sed seq sha1sum sha224sum "
    "sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tar tee test time "
    "timeout touch tr true truncate tsort tty uname unexpand uniq unlink uptime users vdir wc which who whoami xargs "
    "yes"
)
GNU = MappingProxyType({f"g{name}": name for name in _GNU.split()})
"""GNU programs as macOS and the BSDs install them beside their own, and what they are elsewhere."""
_AT_ONCE = frozenset({"runcon", "setarch"})
_RUNNERS_CODE = {"systemd-run": re.compile(r"-p|--property(=.*)?", re.DOTALL)}


def _table() -> dict[str, Program]:
    rows = [(name, program) for program, names in _ROWS for name in names.split()]
    runners: tuple[tuple[Input, tuple[tuple[str, int, str], ...]], ...] = (
        ("commands", _STARTING_SHELLS),
        ("data", _STARTING_NOTHING),
    )
    for made, those in runners:
        rows += (
            (
                name,
                Program(
                    input=made, runs=Runs(operands, valued, name in _AT_ONCE), code_options=_RUNNERS_CODE.get(name)
                ),
            )
            for name, operands, valued in those
        )
    table = dict(rows)
    if len(table) < len(rows):
        raise ValueError("a program stands in two rows")
    return table | {name: table[elsewhere] for name, elsewhere in GNU.items() if elsewhere in table}


PROGRAMS = _table()


def name_of(word: str) -> str:
    """The program that a word names, as the rows call it: without its folders, and `gfind` as `find`."""
    name = word.rpartition("/")[2]
    return GNU.get(name, name)
