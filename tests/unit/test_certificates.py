"""Certificates that documents hold as text: what is none is found, and what OpenSSL takes is not."""

import re
import ssl

import pytest

from engine.checks.certificates import certificate_problem
from engine.compile import compile_files
from runners.steps.exchange import trusting
from schemas.reader import read

SOUND = """\
-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUMMbk2EIkXNbbwVKvc3bZ+StOD/kwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEc2l0ZTAgFw0yNjExMjMwMTE3MTlaGA8yMTI2MTAzMDAxMTcx
OVowDzENMAsGA1UEAwwEc2l0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJFJ
YGDb520n30NSuEZ+KUVraBkCmwBnbtaHy21Nl752q60ok/fl9h7BLKdT05Ley5G4
xJ2OzzPdvUsuiNfKuBOjUzBRMB0GA1UdDgQWBBS3JUGBwx/Gvp1+Zp06HlHG07GB
+zAfBgNVHSMEGDAWgBS3JUGBwx/Gvp1+Zp06HlHG07GB+zAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCcSdkgPSSgW/uf7eiLQjBy7ZdVPq0jdUF0
9ZpiY9ajdQIhAPad8zQcNoWS1QJuWzy9iOEHqX/1K4ki+BQW/FWFR7my
-----END CERTIFICATE-----
"""
LINES = SOUND.splitlines()


def _takes(text: str) -> bool:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, TypeError):  # which it raises for text that is not ASCII
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        SOUND,
        SOUND * 2,
        "the site's own\n" + SOUND + "\nuntil 2099\n",
        "# paste -----BEGIN CERTIFICATE----- and all below it\n" + SOUND,
        SOUND.replace("\n", "\r\n"),
        SOUND.rstrip(),
        SOUND.replace("CERTIFICATE", "X509 CERTIFICATE"),
        "\n".join(f"{line} \t" for line in LINES),
        "\n".join([LINES[0], *(f"  {line}" for line in LINES[1:-1]), LINES[-1]]),
        "\n".join([LINES[0], "", *LINES[1:]]),
        "\n".join([LINES[0], "".join(LINES[1:-1]), LINES[-1]]),
    ],
)
def test_what_openssl_takes_is_sound(text: str) -> None:
    assert certificate_problem(text) is None
    assert _takes(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-----BEGIN CERTIFICATE-----", "or one is missing"),
        ("\n".join(LINES[:-1]), "or one is missing"),
        (" ".join(LINES), "not lines of their own"),
        ("caCert: " + SOUND, "not lines of their own"),
        ("".join(LINES), "not lines of their own"),
        ("\r".join(LINES), "not lines of their own"),
        ("\n".join(f"  {line}" for line in LINES), "not lines of their own"),
        ("\n".join([LINES[0] + LINES[1], *LINES[2:]]), "not lines of their own"),
        ("\n".join([*LINES[:-2], LINES[-2] + LINES[-1]]), "not lines of their own"),
        ("\n".join([*LINES[:3], "", *LINES[3:]]), "has an empty line within"),
        ("\n".join([LINES[0], "", "", *LINES[1:]]), "has an empty line within"),
        ("\n".join([*LINES[:-2], LINES[-2] + "==", LINES[-1]]), "cut off or damaged"),
        (SOUND.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "'TRUSTED CERTIFICATE', which nothing reads here"),
        ("# für uns\n" + SOUND, "is not ASCII"),
        ("\ufeff" + SOUND, "is not ASCII"),
        ("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----", "is not base64"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "cut off or damaged"),
        ("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----", "cut off or damaged"),
        ("\n".join([*LINES[:-3], LINES[-1]]), "cut off or damaged|not base64"),
        ("\n".join([LINES[0], *LINES[2:]]), "cut off or damaged"),
        (SOUND + "\n".join([LINES[0], *LINES[2:]]), "certificate 2 of 2 is cut off or damaged"),
        (SOUND.replace("CERTIFICATE", "PUBLIC KEY"), "holds no certificate"),
    ],
)
def test_what_openssl_refuses_is_found(text: str, problem: str) -> None:
    assert re.search(problem, certificate_problem(text) or "")
    assert not _takes(text)


def test_a_second_certificate_that_openssl_passes_over_is_found() -> None:
    problem = certificate_problem(SOUND + "\n".join(f"  {line}" for line in LINES))
    assert problem is not None
    assert "not lines of their own" in problem


@pytest.mark.parametrize("second", [" ".join(LINES), "\n".join(f"  {line}" for line in LINES)])
def test_a_certificate_that_openssl_passes_over_beside_another_is_found(second: str) -> None:
    """It would not be trusted, and nobody would be told."""
    assert _takes(SOUND + second)
    assert certificate_problem(SOUND + second) is not None


@pytest.mark.parametrize("style", [">", ""])
def test_a_certificate_whose_line_breaks_yaml_takes_away_is_found(style: str) -> None:
    """Below `caCert: >`, or as a plain text of several lines, all of it is one line."""
    lines = "".join(f"          {line}\n" for line in LINES)
    text = (
        "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: t}\nspec:\n  host: t.example\n  connections:\n"
        f"    http:\n      baseUrl: https://t.example\n      caCert: {style}\n{lines}"
    )
    parsed = read(text.encode(), "t.yaml")
    assert parsed.findings == ()
    found = compile_files("c" * 40, [parsed]).findings
    assert [one.message for one in found if one.code == "OC602"] == [
        "the first and the last line of a certificate are not lines of their own, or one is missing"
    ]


def test_a_runner_says_of_text_that_is_not_ascii_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="not ASCII"):
        trusting("# für uns\n" + SOUND)
