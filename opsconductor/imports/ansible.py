"""Inventories of Ansible as Targets and TargetGroups, with the Credentials to be made.

What says how a host is reached becomes its connection; other variables stay variables, where they were given, and a
Target names itself those that it would have from another group here than in Ansible.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.leaks import names_a_secret, shown
from opsconductor.imports import knownhosts
from opsconductor.imports.drafts import Draft, Place, Reading, Remark, document, literals, one_line
from opsconductor.imports.foreignyaml import Tagged
from opsconductor.imports.inventory import Group, Host, Inventory, Var
from opsconductor.imports.inventory import read as inventory_of
from opsconductor.imports.inventoryvars import effective, holding
from opsconductor.imports.naming import Names, slug
from opsconductor.imports.sshhosts import by_way, not_of_the_way
from opsconductor.imports.sshtargets import Machine, drafts
from schemas.guard import MAX_SCALAR

_TEMPLATE = re.compile(r"\{\{|\{%")
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SECRET = re.compile(r"(?i)pass(word|wd|phrase)?$|passw|secret|token|api_?key|private_key$|credential")
_JUMP = re.compile(r"-J\s*['\"]?([^\s'\"]+)|ProxyJump=['\"]?([^\s'\"]+)|ProxyCommand=(['\"]?)(.+?)\3(?: -o|$)")
"""In arguments with a blank between words and none at the end: runs of them would be gone through again and again."""
_LONGEST = 2_048
"""Characters of arguments that are looked into."""
_NUMBERS = re.compile(r"(?i)pass(?:word|wd|phrase)?[0-9]*$|pwd?[0-9]*$")
"""Names under which a number is no count."""
_HOLDERS = re.compile(r"(?i)passw|secrets?$")
"""Of a mapping with such a name each value is a secret, whatever it is called."""
_TRUE = ("yes", "true", "1", "on", "y", "t")
_CONNECTING = {
    "host": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "key": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    "connection": ("ansible_connection",),
    "become": ("ansible_become", "ansible_sudo"),
    "become_user": ("ansible_become_user", "ansible_sudo_user"),
    "args": ("ansible_ssh_common_args", "ansible_ssh_extra_args"),
    "scheme": ("ansible_winrm_scheme", "ansible_psrp_protocol"),
    "transport": ("ansible_winrm_transport", "ansible_psrp_auth"),
}
_KNOWN = {name for names in _CONNECTING.values() for name in names}
_PASSWORDS = frozenset(
    {
        "ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_become_password",
        "ansible_become_pass", "ansible_sudo_pass", "ansible_winrm_password", "ansible_psrp_password",
    }
)  # fmt: skip
_LOGIN_PASSWORDS = (
    "ansible_winrm_password", "ansible_psrp_password", "ansible_password", "ansible_ssh_password", "ansible_ssh_pass",
)  # fmt: skip
_WINDOWS = {"winrm": "winrm", "psrp": "psrp"}
_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "")


@dataclass(frozen=True, slots=True)
class Settings:
    """Who logs in where nobody is named, what is known of host keys, and which files were named themselves."""

    login: str | None = None
    known_hosts: Mapping[str, bytes] = field(default_factory=dict)
    named: Collection[str] = ()


def read(files: Mapping[str, bytes], settings: Settings) -> Reading:
    """Files of an inventory, with group_vars and host_vars, by what to call them."""
    known, remarks = knownhosts.read(settings.known_hosts)
    inventory = inventory_of(files, settings.named)
    maker = _Maker(inventory, settings, known, [*inventory.remarks, *remarks])
    return maker.reading()


@dataclass
class _Maker:
    inventory: Inventory
    settings: Settings
    known: knownhosts.KnownHosts
    remarks: list[Remark]
    hosts: dict[str, str] = field(default_factory=dict)
    """Names of Targets by those of hosts."""
    groups: dict[str, str] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    others: list[Draft] = field(default_factory=list)
    said: set[tuple[Place, str]] = field(default_factory=set)
    names: Names = field(default_factory=Names)
    secrets: Names = field(default_factory=Names)
    logins: dict[tuple[str | None, object], str] = field(default_factory=dict)
    """Credentials for Windows by who logs in and with which password: no host gets another one's."""
    judged: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """What became of a variable, by its name and which one of that name it is."""

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def reading(self) -> Reading:
        given = Names()
        self.groups = {name: given.unique(slug(name, "group"), name) for name in sorted(self.inventory.groups)}
        self.hosts = {name: self.names.unique(slug(name, "host"), name) for name in self.inventory.hosts}
        self._passwords()
        merged = effective(self.inventory)
        steps = holding(self.inventory)
        kept = {name: self._vars({**group.vars, **group.files}) for name, group in self.inventory.groups.items()}
        for name, host in self.inventory.hosts.items():
            own = self._vars({**host.vars, **host.files})
            from_groups = self._from_groups(steps[name], kept)
            plain = self._vars(merged[name])
            own |= {
                key: value for key, value in plain.items() if key not in own and from_groups.get(key, _NONE) != value
            }
            self._host(name, merged[name], own)
        made, missing = drafts(list(self.machines.values()), "ssh-key")
        groups = self._groups(kept)
        return Reading((*made, *self.others, *groups), (*self.remarks, *missing))

    def _from_groups(self, steps: Mapping[str, int], kept: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The variables that a Target has from its groups here: the nearest, then the first by name."""
        order = sorted(steps, key=lambda name: (steps[name], self.groups[name]))
        found: dict[str, Any] = {}
        for name in [*order, "all"]:
            for key, value in kept.get(name, {}).items():
                found.setdefault(key, value)
        return found

    def _vars(self, values: Mapping[str, Var]) -> dict[str, Any]:
        """Those that stay variables; each of the others is a remark."""
        self.inventory.work.spend(len(values))
        kept: dict[str, Any] = {}
        for name, one in values.items():
            found = self.judged.get((name, id(one)))
            if found is None:  # each once: all hosts have those of their groups
                found = self.judged[name, id(one)] = self._carried(name, one)
            kept |= found
        return kept

    def _carried(self, name: str, one: Var) -> dict[str, Any]:
        """The variable as it is carried, under its name; none where it is not."""
        if name in _KNOWN or name in _PASSWORDS or name == "ansible_group_priority":
            return {}
        if name.startswith("ansible_"):
            self._once(one.place, f"{name} says how Ansible itself works", "the engine needs no such setting")
        elif "!vault" in json.dumps(one.value, default=lambda tagged: f"!{tagged.tag}"):
            self._once(one.place, f"{name} is encrypted", "make a Credential, and give it by 'env' or 'stdin'")
        elif (secret := _secret(name, name, one.value)) is not None:
            what = f"{one_line(secret, 100)} looks like a secret"
            self._once(one.place, what, "make a Credential, and give it by 'env' or 'stdin'")
        elif (why := _no_document_has(name, plain := _text_of_tagged(one.value))) is not None:
            self._once(one.place, f"{one_line(name, 60)}: {why}", "write it in another form")
        else:
            if _TEMPLATE.search(json.dumps(one.value, default=str)):
                what = f"{name} holds a template, which Ansible fills when it runs"
                self._once(one.place, what, "it is carried as text; write what it comes to", lost=False)
            return {name: literals(plain)}
        return {}

    def _once(self, place: Place, what: str, hint: str, *, lost: bool = True) -> None:
        if (place, what) not in self.said:
            self.said.add((place, what))
            self.remarks.append(Remark(place, what, hint, lost))

    def _passwords(self) -> None:
        owners: list[Group | Host] = [*self.inventory.groups.values(), *self.inventory.hosts.values()]
        for owner in owners:
            for name, one in {**owner.vars, **owner.files}.items():
                if name in _PASSWORDS:
                    hint = "make a Credential of type password, and name it as credentialRef; for sudo, in 'become'"
                    self._once(one.place, f"{name} of {one_line(owner.name, 60)} is a password", hint)

    def _host(self, name: str, values: Mapping[str, Var], own: Mapping[str, Any]) -> None:
        host = self.inventory.hosts[name]
        given = {key: self._connecting(name, keys, values) for key, keys in _CONNECTING.items()}
        target = self.hosts[name]
        connection = (given["connection"] or "").lower()
        address = given["host"] or name
        if connection == "local" or (
            not connection and not given["host"] and name in ("localhost", "127.0.0.1", "::1")
        ):
            spec: dict[str, Any] = {"connections": {"local": {}}, "vars": own}
            self.others.append(Draft(f"targets/{target}.yaml", host.place, (document("Target", target, spec),)))
        elif connection in _WINDOWS:
            password = _password(values)
            self._windows(target, address, given, host.place, own, _WINDOWS[connection], password)
        elif connection in _SSH:
            self._ssh(target, address, given, host.place, own)
        else:
            what = f"{name}: ansible_connection={one_line(connection, 40)}"
            self.lose(host.place, what, "write the connection by hand, or call the tool in a Job that runs locally")
            made = document("Target", target, {"host": address, "os": "other", "vars": own})
            self.others.append(Draft(f"targets/{target}.yaml", host.place, (made,)))

    def _connecting(self, name: str, keys: Collection[str], values: Mapping[str, Var]) -> str | None:
        """The text of the first of the variables that is there, or of the one that its template names."""
        one = next((values[key] for key in keys if key in values), None)
        for _ in range(4):
            if one is None or not isinstance(one.value, str | int) or one.value == "":
                return None
            if (found := _REFERENCE.fullmatch(str(one.value).strip())) is None:
                break
            if found[1] == "inventory_hostname":
                return name
            one = values.get(found[1])
        if one is not None and _TEMPLATE.search(str(one.value)):
            self._once(
                one.place, f"{one_line(str(one.value), 80)}: how {name} is reached is a template", "write it out"
            )
            return None
        return None if one is None else str(one.value)

    def _ssh(
        self, target: str, address: str, given: Mapping[str, str | None], place: Place, own: Mapping[str, Any]
    ) -> None:
        port = _port(given["port"]) or 22
        become = (given["become"] or "").lower() in _TRUE
        machine = Machine(
            target,
            place,
            address,
            port,
            given["user"] or self.settings.login,
            given["key"],
            self.known.keys(address, port),
            become=(given["become_user"] or "root") if become else None,
            vars=own,
        )
        jump, barred = self._jump(given["args"] or "", target, place)
        self.machines[target] = replace(machine, jump=jump, barred=barred)

    def _jump(self, arguments: str, of: str, place: Place) -> tuple[str | None, str]:
        """The Target on the way, and why there can be none."""
        if not arguments:
            return None, ""
        arguments = " ".join(arguments.split())
        found = _JUMP.search(arguments) if len(arguments) <= _LONGEST else None
        way = (found[1] or found[2] or by_way(found[4] or "")) if found is not None else None
        if way is None or "," in way:
            hint = "the engine's connections take no arguments; a host on the way is 'jump'"
            lost = found is not None or "Proxy" in arguments
            self._once(place, f"arguments of ssh: {one_line(arguments, 80)}", hint)
            return None, "it is reached through others in a way that is not understood" if lost else ""
        assert found is not None
        for word in not_of_the_way(found[4] or ""):
            self._once(place, f"ProxyCommand: {one_line(word, 60)}", "say it of the Target on the way")
        others = f"{arguments[: found.start()]} {arguments[found.end() :]}".split()
        if others := [word for word in others if word.strip("'\"") not in ("", "-o")]:
            hint = "the engine's connections take no arguments"
            self._once(place, f"arguments of ssh beside the jump: {one_line(' '.join(others), 80)}", hint)
        user, _, rest = way.rpartition("@")
        host, _, port = rest.partition(":")
        for name, target in self.hosts.items():
            named = self.inventory.hosts[name].vars.get("ansible_host")
            if host in (name, str(named.value) if named is not None else name):
                return None if target == of else target, ""
        number = _port(port) or 22
        name = slug(host, "jump")
        if name not in self.machines:
            name = self.names.unique(name, way)
            keys = self.known.keys(host, number)
            self.machines[name] = Machine(name, place, host, number, user or self.settings.login, None, keys)
        return name, ""

    def _windows(
        self,
        target: str,
        address: str,
        given: Mapping[str, str | None],
        place: Place,
        own: Mapping[str, Any],
        protocol: str,
        password: object,
    ) -> None:
        port = _port(given["port"])
        scheme = given["scheme"] or ("http" if port in (5985, 80) else "https")
        transport = given["transport"] if given["transport"] in ("basic", "ntlm", "kerberos", "certificate") else "ntlm"
        key = (given["user"], password)
        if key not in self.logins:
            wanted = f"windows-{slug(given['user'] or 'login')}"
            self.logins[key] = self.secrets.unique(wanted, given["user"] or "", target)
        credential = self.logins[key]
        login = {"type": "password", "username": given["user"], "from": {"file": credential}}
        made = document("Credential", credential, login, description="To be made: the password of this login.")
        draft = Draft(f"credentials/{credential}.yaml", place, (made,))
        if draft.path not in [one.path for one in self.others]:
            self.others.append(draft)
            what = f"Credential {credential}: its password is to be put into the secret folder of the engine"
            self.remarks.append(Remark(place, what, f"as '{credential}'", lost=False))
        winrm: dict[str, Any] = {
            "protocol": protocol,
            "scheme": scheme,
            "transport": transport,
            "credentialRef": credential,
        }
        winrm |= {"port": port} if port else {}
        spec = {"host": address, "os": "windows", "connections": {"winrm": winrm}, "vars": own}
        self.others.append(Draft(f"targets/{target}.yaml", place, (document("Target", target, spec),)))

    def _groups(self, kept: Mapping[str, Mapping[str, Any]]) -> list[Draft]:
        made = []
        direct = self.inventory.memberships()
        for name, group in self.inventory.groups.items():
            if name == "ungrouped" and not kept[name]:
                continue
            members = [self.hosts[host] for host in group.hosts]
            inner = [self.groups[child] for child in group.children if child != "ungrouped" or kept["ungrouped"]]
            if name == "all":
                if not kept[name]:
                    continue
                held = {child for one in self.inventory.groups.values() if one.name != "all" for child in one.children}
                tops = self.inventory.groups.keys() - held - {"all", "ungrouped"}
                inner = sorted({self.groups[one] for one in tops})
                members = [self.hosts[host] for host, of in direct.items() if not of]
            spec = {"names": sorted(members), "groups": sorted(inner), "vars": kept[name]}
            target_group = document("TargetGroup", self.groups[name], spec)
            made.append(Draft(f"groups/{self.groups[name]}.yaml", group.place, (target_group,)))
        if made and self.inventory.comments:
            made[0] = replace(made[0], above=tuple(self.inventory.comments))
        elif self.inventory.comments and self.machines:
            first = next(iter(self.machines))
            self.machines[first] = replace(self.machines[first], above=tuple(self.inventory.comments))
        return made


_NONE = object()


def _password(values: Mapping[str, Var]) -> object:
    """What tells the password of a host from others: itself, or where it is given, if only Ansible can read it."""
    one = next((values[name] for name in _LOGIN_PASSWORDS if name in values), None)
    for _ in range(4):
        found = _REFERENCE.fullmatch(str(one.value).strip()) if one is not None else None
        if found is None or found[1] not in values:
            break
        one = values[found[1]]
    if one is None:
        return None
    is_plain = isinstance(one.value, str | int) and not _TEMPLATE.search(str(one.value))
    return str(one.value) if is_plain else one.place


def _secret(name: str, shown: str, value: Any) -> str | None:
    """What of a variable looks like a secret, itself or within it; None where nothing does."""
    if isinstance(value, dict):
        held = name if _HOLDERS.search(name) else ""
        parts = [(held or str(key), f"{shown}.{key}", one) for key, one in value.items()]
    elif isinstance(value, list):
        parts = [(name, shown, one) for one in value]
    else:
        return shown if _is_secret(name, value) else None
    return next((found for part in parts if (found := _secret(*part)) is not None), None)


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, str):
        named = _SECRET.search(name) is not None or names_a_secret(name)
        return named and bool(value) and not _TEMPLATE.search(value)
    counts = isinstance(value, bool) or not isinstance(value, int) or len(str(value)) <= 3
    return not counts and _NUMBERS.search(name) is not None


def _no_document_has(name: str, value: Any) -> str | None:
    """Why the value of a variable cannot stand in a document; None where it can."""
    match value:
        case dict():
            return next((why for one in (*value, *value.values()) if (why := _no_document_has(name, one))), None)
        case list():
            return next((why for one in value if (why := _no_document_has(name, one))), None)
        case bool():
            return None
        case int() if value.bit_length() > 63:
            return "it does not fit a number of 64 bits"
        case str() if "\0" in value:
            return "it holds a NUL character"
        case str() if len(value) > MAX_SCALAR:
            return f"it is longer than {MAX_SCALAR:,} characters"
        case str() if leaks := shown(f"{name}: {value}".encode(errors="replace")).leaks:
            return f"this looks like {leaks[0].what}"
    return None


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and 0 < int(text[:6]) < 65536 else None


def _text_of_tagged(value: Any) -> Any:
    if isinstance(value, Tagged):
        return value.text
    if isinstance(value, list):
        return [_text_of_tagged(one) for one in value]
    if isinstance(value, dict):
        return {key: _text_of_tagged(one) for key, one in value.items()}
    return value
