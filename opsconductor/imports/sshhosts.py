"""Hosts of ssh_config as Targets: jump hosts, keys to be made Credentials, host keys from known_hosts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opsconductor.imports import knownhosts, sshconfig
from opsconductor.imports.drafts import Place, Reading, Remark, one_line
from opsconductor.imports.naming import Names, slug
from opsconductor.imports.sshtargets import Machine, drafts
from opsconductor.imports.sshtokens import Expanded, expanded, known

_CARRIED = frozenset({"hostname", "port", "user", "identityfile", "proxyjump", "proxycommand", "hostkeyalias"})
_OF_NO_MEANING = frozenset(
    {
        "addkeystoagent", "batchmode", "checkhostip", "clearallforwardings", "compression", "connectionattempts",
        "connecttimeout", "controlmaster", "controlpath", "controlpersist", "enableescapecommandline", "escapechar",
        "exitonforwardfailure", "forkafterauthentication", "gatewayports", "globalknownhostsfile", "hashknownhosts",
        "identitiesonly", "ignoreunknown", "ipqos", "loglevel", "logverbose", "nohostauthenticationforlocalhost",
        "numberofpasswordprompts", "permitlocalcommand", "requesttty", "serveralivecountmax", "serveraliveinterval",
        "stdinnull", "streamlocalbindmask", "streamlocalbindunlink", "tcpkeepalive", "updatehostkeys", "usekeychain",
        "userknownhostsfile", "verifyhostkeydns", "visualhostkey", "xauthlocation", "forwardx11timeout",
        "pubkeyauthentication", "gssapiauthentication", "gssapidelegatecredentials", "hostbasedauthentication",
        "kbdinteractiveauthentication", "challengeresponseauthentication", "fingerprinthash", "protocol",
    }
)  # fmt: skip
"""What only says how ssh itself talks to whoever calls it; the engine's connections need none of it."""
_LOST = {
    "forwardagent": "no agent is left on a target",
    "forwardx11": "nothing is shown on a screen",
    "forwardx11trusted": "nothing is shown on a screen",
    "stricthostkeychecking": "host keys are checked always, and come from the Target",
    "certificatefile": "put it into the Credential as 'certificate'",
    "identityagent": "the engine logs in with the key of a Credential",
    "passwordauthentication": "make the Credential one of type password",
    "preferredauthentications": "the Credential says what logs in: a key, or a password",
    "remotecommand": "a Job says what runs",
    "localcommand": "a Job says what runs",
    "setenv": "write it in 'env' of the Jobs",
    "sendenv": "write it in 'env' of the Jobs",
    "localforward": "no port is forwarded",
    "remoteforward": "no port is forwarded",
    "dynamicforward": "no port is forwarded",
}
_DEFAULT = {"forwardagent": "no", "forwardx11": "no", "forwardx11trusted": "no", "stricthostkeychecking": "yes"}
_HOP = re.compile(r"(?:ssh://)?(?:([^@]+)@)?(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}))?/?")
_BY_WAY = re.compile(r"(?:exec\s+)?(?:\S*/)?ssh\s+(.*)", re.DOTALL)
_OPTION = re.compile(r"(?:(?<=\s)|^)-[oFi]\s*\S+")
_FORGES = ("git", "hg", "gitolite", "aur")
_MOST = 2_000
"""Hosts that are read at once."""
_JUMPS = 8
"""Hops to one host at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who logs in where the files name nobody, and what is known of host keys."""

    login: str | None = None
    known_hosts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class _Hosts:
    config: sshconfig.Config
    settings: Settings
    known: knownhosts.KnownHosts
    remarks: list[Remark] = field(default_factory=list)
    machines: dict[str, Machine] = field(default_factory=dict)
    """By the words that ask for them: a name, or a hop as ProxyJump has it."""
    names: Names = field(default_factory=Names)

    def __post_init__(self) -> None:
        self.named = self.config.names()

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def all(self) -> None:
        aliases: dict[tuple[object, ...], Machine] = {}
        for number, (name, block) in enumerate(self.named.items()):
            if number >= _MOST:
                self.lose(block.place, f"more than {_MOST:,} hosts, from {name} on", "divide the file")
                return
            if name in self.machines:
                continue
            resolved = self.config.resolve(name)
            if resolved.text("user") in _FORGES:
                what = f"{name}: {resolved.text('user')}@{resolved.host} is a service and no machine"
                self.note(block.place, what, "nothing was made of it")
                continue
            way = resolved.text("proxyjump") or resolved.text("proxycommand")
            keys = resolved.first("identityfile")
            identity = expanded(keys.value, known(resolved, self.settings.login)).text if keys else None
            same = (resolved.host, resolved.port, resolved.text("user"), way, identity)
            if (first := aliases.get(same)) is not None:
                self.note(block.place, f"{name} is another name of {first.name}", "one Target stands for both")
                continue
            aliases[same] = self.machine(name, resolved, block.place, block, ())

    def machine(
        self,
        asked: str,
        resolved: sshconfig.Resolved,
        place: Place,
        block: sshconfig.Block | None,
        way: tuple[str, ...],
    ) -> Machine:
        """The machine that a name stands for, and before it those that it is reached through."""
        name = self.names.unique(slug(resolved.name, "host"), asked)
        port = resolved.port
        if port is None:
            option = resolved.first("port")
            self.lose(option.place if option else place, f"{name}: a port that is none", "write one from 1 to 65535")
        identity = resolved.options.get("identityfile", ())
        for other in identity[1:]:
            what = f"{name}: a second key, {one_line(other.value, 60)}"
            self.note(other.place, what, "the first one is carried; a Credential has one key")
        user = self._user(name, resolved)
        tokens = known(resolved, user)
        first = None
        if identity and identity[0].value.lower() != "none":
            first = self._expanded(identity[0], tokens, name, "name its Credential in the Target by hand")
        barred = "" if port else "it has no port"
        given = resolved.first("hostname")
        if given is not None and (strange := expanded(given.value, {"%": "%", "h": name})).unknown:
            self._tell(given, strange, name, "write 'host' by hand: ssh itself takes only %h there")
            barred = "its address is not in the files"
        alias = resolved.text("hostkeyalias")
        keys = self.known.keys(alias, 22) if alias else self.known.keys(resolved.host, port or 22)
        made = Machine(
            name,
            place,
            resolved.host,
            port or 22,
            user,
            first,
            keys,
            barred=barred,
            description=f"As ssh knows it: {one_line(resolved.name, 100)}." if resolved.name != name else "",
            above=tuple(block.comments) if block is not None else (),
        )
        if block is not None:
            block.comments.clear()
        self.machines[asked] = made
        jump, barred = self._jump(resolved, (*way, asked))
        made = replace(made, jump=jump, barred=made.barred or barred)
        self.machines[asked] = made
        return made

    def _user(self, name: str, resolved: sshconfig.Resolved) -> str | None:
        """Who logs in: nobody, where only ssh would know."""
        option = resolved.first("user")
        if option is None:
            return self.settings.login
        found = expanded(option.value, known(resolved, None))
        if not found.unknown:
            return found.text
        self._tell(option, found, name, "write 'user' of the connection by hand, or give --login")
        return self.settings.login

    def _expanded(self, option: sshconfig.Option, tokens: Mapping[str, str], name: str, hint: str) -> str:
        found = expanded(option.value, tokens)
        if found.unknown:
            self._tell(option, found, name, hint)
        return found.text

    def _tell(self, option: sshconfig.Option, found: Expanded, name: str, hint: str) -> None:
        said = f"{name}: {option.written} {one_line(option.value, 60)}"
        what = f"{said}: what {', '.join(one_line(one, 40) for one in found.unknown)} stands for is not in the files"
        self.lose(option.place, what, f"write there what it stands for, and import again; or {hint}")

    def _jump(self, resolved: sshconfig.Resolved, way: tuple[str, ...]) -> tuple[str | None, str]:
        """The name of the machine before it, and why there can be none."""
        option, command = resolved.first("proxyjump"), resolved.first("proxycommand")
        if option is None and command is None:
            return None, ""
        used = option or command
        assert used is not None
        hops: str | None = "" if used.value.lower() == "none" else used.value
        if option is None and hops:
            for word in not_of_the_way(hops):
                self.lose(used.place, f"ProxyCommand: {one_line(word, 60)}", "say it of the Target on the way")
            hops = by_way(hops)
        if hops:
            way_to = expanded(hops, known(resolved, resolved.text("user") or self.settings.login))
            if way_to.unknown:
                self._tell(used, way_to, resolved.name, "write 'jump' by hand")
                return None, "the way to it is not in the files"
            hops = way_to.text
        if hops is None:
            what = f"ProxyCommand {one_line(used.value, 80)} is no jump through a host"
            self.lose(used.place, what, "write 'jump' by hand, if there is a host on the way")
            return None, "it is reached by a program"
        return self._through([hop.strip() for hop in hops.split(",") if hop.strip()], used.place, way)

    def _through(self, hops: list[str], place: Place, way: tuple[str, ...]) -> tuple[str | None, str]:
        if not hops:
            return None, ""
        found = _HOP.fullmatch(hops[-1])
        key = ",".join(hops)
        if found is None or len(way) > _JUMPS or key in way:
            self.lose(place, f"the jump through {one_line(key, 80)} leads nowhere", "name hosts that end at one")
            return None, "the way to it cannot be followed"
        if key in self.machines:
            return self.machines[key].name, ""
        user, host, port = found.groups()
        resolved = self.config.resolve(host.strip("[]"))
        given = {"user": user, "port": port}
        options = dict(resolved.options)
        for option, value in given.items():
            if value is not None:
                options[option] = (sshconfig.Option(place, option, option, (value,)),)
        if len(hops) > 1:
            options["proxyjump"] = (sshconfig.Option(place, "proxyjump", "ProxyJump", (",".join(hops[:-1]),)),)
        block = self.named.get(resolved.name)
        plain = options == resolved.options
        if plain and resolved.name in self.machines:
            return self.machines[resolved.name].name, ""
        where = block.place if block is not None and plain else place
        asked = resolved.name if plain else key
        made = self.machine(asked, sshconfig.Resolved(resolved.name, options), where, block if plain else None, way)
        self.machines[key] = made
        return made.name, ""

    def unused(self) -> None:
        """Blocks for hosts that no file names: ssh goes by them when somebody types such a name. Nobody does here."""
        for number, block in enumerate(self.config.blocks):
            carried = [option.written for option in block.options if option.key in _CARRIED]
            if carried and block.is_understood and block.plain is None and number not in self.config.held:
                said = f"{one_line(block.title, 80)}: {', '.join(dict.fromkeys(carried))}"
                self.lose(
                    block.place,
                    f"{said}: no host that is named here is meant",
                    "name such hosts in the file, or give their Targets what it says",
                )

    def rest(self) -> None:
        """Options that no Target has, each once."""
        for block in self.config.blocks:
            for option in block.options if block.is_understood else ():
                is_command = option.key.endswith("command")
                said = option.written if is_command else f"{option.written} {one_line(option.value, 60)}"
                if option.key in _CARRIED or option.value.lower() == _DEFAULT.get(option.key):
                    continue
                if option.key in _OF_NO_MEANING:
                    self.note(option.place, f"{said}: means nothing to the engine's connections")
                elif option.key in _LOST:
                    self.lose(option.place, f"{said} is not carried", _LOST[option.key])
                else:
                    self.lose(option.place, f"{said} has no equal here", "the engine's connections go without it")


def read(files: Mapping[str, bytes], settings: Settings) -> Reading:
    """Files of ssh_config by what to call them."""
    known, remarks = knownhosts.read(settings.known_hosts)
    config = sshconfig.read(files)
    hosts = _Hosts(config, settings, known, [*config.remarks, *remarks])
    hosts.all()
    hosts.unused()
    hosts.rest()
    if not hosts.machines and files:
        hosts.note(Place(next(iter(files)), 1), "no host is named: patterns alone are no machines")
    machines = list({one.name: one for one in hosts.machines.values()}.values())
    made, missing = drafts(machines, "ssh-key")
    return Reading(tuple(made), (*hosts.remarks, *missing))


def not_of_the_way(command: str) -> list[str]:
    """Options of a ProxyCommand that calls ssh which say how, and not through whom."""
    found = _BY_WAY.fullmatch(command.strip())
    return _OPTION.findall(found[1]) if found is not None else []


def by_way(command: str) -> str | None:
    """The host that a ProxyCommand goes through, as ProxyJump would name it; None where it does something else."""
    found = _BY_WAY.fullmatch(command.strip())
    words = found[1].split() if found is not None else []
    user = port = host = None
    passes = False
    while words:
        word = words.pop(0)
        if word in ("-W", "-l", "-p", "-o", "-F", "-i") or (word.startswith("-W") and word != "-W"):
            value = word[2:] or (words.pop(0) if words else "")
            passes = passes or (word.startswith("-W") and value in ("%h:%p", "[%h]:%p"))
            user = value if word == "-l" else user
            port = value if word == "-p" else port
        elif word.startswith("-"):
            continue
        elif host is None:
            host = word
        elif word in ("nc", "netcat", "/bin/nc", "/usr/bin/nc", "ncat"):
            passes = words[-2:] == ["%h", "%p"]
            words = []
        else:
            return None
    if host is None or not passes:
        return None
    return f"{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}"
