"""Certificates that documents hold as text: what is none is found, and what OpenSSL takes is not."""

import re
import ssl

import pytest

from engine.checks.certificates import certificate_problem

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
    except ssl.SSLError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [SOUND, SOUND * 2, "the site's own\n" + SOUND + "\nuntil 2099\n", SOUND.replace("\n", "\r\n"), SOUND.rstrip()],
)
def test_what_openssl_takes_is_sound(text: str) -> None:
    assert certificate_problem(text) is None
    assert _takes(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-----BEGIN CERTIFICATE-----", "has no end"),
        ("\n".join(LINES[:-1]), "has no end"),
        ("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----", "is not base64"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "cut off or damaged"),
        ("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----", "cut off or damaged"),
        ("\n".join([*LINES[:-3], LINES[-1]]), "cut off or damaged|not base64"),
        ("\n".join([LINES[0], *LINES[2:]]), "cut off or damaged"),
        (SOUND + "\n".join([LINES[0], *LINES[2:]]), "certificate 2 of 2 is cut off or damaged"),
        (SOUND.replace("CERTIFICATE", "PUBLIC KEY"), "or is none"),
    ],
)
def test_what_openssl_refuses_is_found(text: str, problem: str) -> None:
    assert re.search(problem, certificate_problem(text) or "")
    assert not _takes(text)
