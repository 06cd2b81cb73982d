"""What nmap is asked, and how what it reports is read: hostile in every part."""

import pytest

from runners.nmap.report import BadReport, Host, Report, Service
from runners.nmap.scan import NotAllowed, Scan, allowed, ports_of

POOL = ("10.1.0.0/16", "fd00:1::/32", "169.254.0.0/16", "2001:db8::/32")
ARABIC = '<ports><port protocol="tcp" portid="\u0661"/></ports>'
LONG = "x" * 9000
HOSTNAMES = "<hostnames>{}</hostnames>"
END = '<runstats><finished exit="success"/></runstats></nmaprun>'


def read(text: str, *, step: int = 7) -> list[Host]:
    hosts: list[Host] = []
    report = Report(hosts.append)
    data = text.encode()
    for start in range(0, len(data), step):
        report.feed(data[start : start + step])
    report.close()
    return hosts


def host(inside: str, *, reason: str = "syn-ack", address: str = "10.1.0.5") -> str:
    return f'<host><status state="up" reason="{reason}"/><address addr="{address}" addrtype="ipv4"/>{inside}</host>'


def port(number: object, state: str = "open", service: str = "") -> str:
    return f'<port protocol="tcp" portid="{number}"><state state="{state}"/>{service}</port>'


def test_a_report_is_read_in_pieces() -> None:
    said = '<service name="ssh" product="OpenSSH" version="9.2" extrainfo="Debian" tunnel="ssl" method="probed"/>'
    ports = (
        f"<ports><extraports state='closed' count='9'/>{port(443)}{port(22, 'open', said)}{port(25, 'closed')}</ports>"
    )
    names = '<hostnames><hostname name="db&lt;1&gt;" type="PTR"/></hostnames>'
    system = '<os><osmatch name="Linux 6.1" accuracy="98"/></os><address addr="AA:BB" addrtype="mac" vendor="Acme"/>'
    (found,) = read(f"<?xml version='1.0'?><!DOCTYPE nmaprun><nmaprun>{host(names + ports + system)}{END}")
    assert found == Host(
        "10.1.0.5", "AA:BB", "Acme", ("db<1>",),
        (Service(22, "tcp", "ssh", "OpenSSH", "9.2", "Debian", tls=True, sure=True), Service(443, "tcp")),
        (("Linux 6.1", 98),),
    )  # fmt: skip


def test_hosts_that_did_not_answer_are_none() -> None:
    """One that is scanned unasked is up for nmap. A port that refuses is an answer; one that is silent is none."""
    silent = host(f"<ports>{port(22, 'filtered')}</ports>", reason="user-set")
    refuses = host(f"<ports>{port(22, 'closed')}</ports>", reason="user-set", address="10.1.0.6")
    down = '<host><status state="down" reason="no-response"/><address addr="10.1.0.7" addrtype="ipv4"/></host>'
    assert [one.address for one in read(f"<nmaprun>{silent}{refuses}{down}{END}")] == ["10.1.0.6"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nmap: no route",
        "<html/>",
        "<nmaprun>",
        f"<nmaprun>{host('')}",
        "<nmaprun></nmaprun>",
        '<nmaprun><runstats><finished exit="error" errormsg="no route"/></runstats></nmaprun>',
        f'<!DOCTYPE nmaprun [<!ENTITY a "b">]><nmaprun>&a;{END}',
        f'<!DOCTYPE nmaprun SYSTEM "file:///etc/passwd"><nmaprun>{END}',
        f'<!DOCTYPE nmaprun [<!ENTITY % a SYSTEM "http://127.0.0.1/">%a;]><nmaprun>{END}',
        f"<!DOCTYPE html><nmaprun>{END}",
        "<nmaprun>" + "<a>" * 100,
        f"<nmaprun>{host('<ports>' + port('9' * 9) + '</ports>')}{END}",
        f"<nmaprun>{host('<ports>' + port('-1') + '</ports>')}{END}",
        f"<nmaprun>{host(ARABIC)}{END}",
        "<nmaprun>\0</nmaprun>",
    ],
)
def test_what_nmap_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(BadReport):
        read(text)


def test_billions_of_laughs_are_not_expanded() -> None:
    ten = ["".join([f"&l{n - 1};"] * 10) for n in range(1, 10)]
    laughs = "".join(f'<!ENTITY l{n} "{text}">' for n, text in enumerate(ten, start=1))
    with pytest.raises(BadReport, match="document type"):
        read(f'<!DOCTYPE nmaprun [<!ENTITY l0 "ha">{laughs}]><nmaprun>&l9;{END}')


def test_texts_of_hosts_are_cut() -> None:
    name = f'<hostname name="{LONG}"/>'
    (found,) = read(f"<nmaprun>{host(HOSTNAMES.format(name))}{END}")
    assert len(found.names[0]) == 256


def test_nmap_is_called_with_fixed_words_and_addresses() -> None:
    scan = Scan(allowed(["10.1.0.0/24", "10.1.2.3"], POOL), ports_of([22, "8000-8100"]), "polite", services=True)
    assert scan.argv == (
        "nmap", "-oX", "-", "--no-stylesheet", "-n", "-sT", "-T2", "--unprivileged", "-sV",
        "--version-intensity", "6", "--script-timeout", "1m",
        "-PS22,80,135,443,445,3389,5985,8080,8000-8100", "-p", "22,8000-8100", "10.1.0.0/24", "10.1.2.3",
    )  # fmt: skip
    assert Scan(allowed(["fd00:1::7"], POOL), system=True).argv == (
        "nmap", "-oX", "-", "--no-stylesheet", "-n", "-sT", "-T3", "-O", "-6", "-Pn", "--top-ports", "1000", "fd00:1::7"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (["10.2.0.1"], "not within the networks"),
        (["10.0.0.0/8"], "too many"),
        (["10.1.0.0/16", "10.1.0.0/17"], "too many"),
        (["169.254.169.254"], "never scanned"),
        (["::ffff:10.1.0.1"], "never scanned"),
        (["10.1.0.5/24"], "no address and no network"),
        (["--script=x"], "no address"),
        (["10.1.0.1", "fd00:1::1"], "steps of their own"),
        (["fd00:1::/64"], "too many"),
    ],
)
def test_what_may_be_scanned(asked: list[str], why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        allowed(asked, POOL)


def test_the_host_of_a_target_is_its_authors_word() -> None:
    assert allowed(["192.0.2.7"], (), authored=True)
    with pytest.raises(NotAllowed):
        allowed(["169.254.169.254"], (), authored=True)


@pytest.mark.parametrize("port", [0, 65536, "9-1", "0-5"])
def test_ports_that_are_none(port: int | str) -> None:
    with pytest.raises(NotAllowed):
        ports_of([port])
