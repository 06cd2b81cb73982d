"""Logging in to a host: basic, certificate, NTLM and Kerberos, the last two by pyspnego."""

import base64
from collections.abc import Iterable
from typing import Any, Protocol

from runners.connections.winrm import sealing
from runners.connections.winrm.errors import NoLogin
from runners.connections.winrm.place import WinrmPlace

_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


class Login(Protocol):
    """One connection's login."""

    negotiates: bool
    """Whether the connection is logged in by messages of its own, before any other."""
    header: dict[str, str]
    """What every message carries."""
    sealed_as: str
    context: Any

    def scheme_of(self, offered: Iterable[str]) -> str | None:
        """The one of the schemes that a host offers to log in by."""
        ...

    def step(self, token: bytes | None) -> bytes | None:
        """What to send after what came. Raises NoLogin."""
        ...

    @property
    def complete(self) -> bool: ...

    def refused(self) -> str:
        """What to say where the host says no."""
        ...


def login_of(place: WinrmPlace, certificate: bytes | None) -> Login:
    """`certificate` is the host's own, by which the login is bound to the connection. Raises NoLogin."""
    if place.transport in ("ntlm", "kerberos"):
        return _Negotiated(place, certificate)
    return _Shown(place)


class _Shown:
    """A login that every message carries, or the connection's own certificate."""

    negotiates = False
    sealed_as = ""
    context: Any = None
    complete = True

    def __init__(self, place: WinrmPlace) -> None:
        self._place = place
        if place.transport == "certificate":
            self.header = {"Authorization": _MUTUAL}
        else:
            pair = f"{place.user}:{place.password}".encode()
            self.header = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def scheme_of(self, offered: Iterable[str]) -> str | None:
        wanted = "basic" if self._place.transport == "basic" else _MUTUAL
        # a host offers its logins by certificate in a form that is no scheme
        return next(
            (word for word in offered if self._place.transport == "certificate" or word.lower() == wanted), None
        )

    def step(self, token: bytes | None) -> bytes | None:
        return None

    def refused(self) -> str:
        if self._place.transport == "certificate":
            return "it refused the certificate of the Credential; is it mapped to a user there?"
        return f"it refused the login of '{self._place.user}' with the password of its Credential"


class _Negotiated:
    """NTLM or Kerberos, whichever the document says; never the other."""

    negotiates = True

    def __init__(self, place: WinrmPlace, certificate: bytes | None) -> None:
        import spnego
        from spnego.channel_bindings import GssChannelBindings
        from spnego.exceptions import FeatureMissingError, SpnegoError

        self._place = place
        self._errors: tuple[type[Exception], ...] = (SpnegoError, FeatureMissingError)
        self.header: dict[str, str] = {}
        self.sealed_as = sealing.SPNEGO
        bound = GssChannelBindings(application_data=_end_point(certificate)) if certificate is not None else None
        # its own NTLM, whatever else is installed here
        options = spnego.NegotiateOptions.use_ntlm if place.transport == "ntlm" else spnego.NegotiateOptions.use_gssapi
        if place.sealed:
            options |= spnego.NegotiateOptions.wrapping_winrm
        try:
            self.context = spnego.client(
                place.user,
                place.password,
                hostname=place.name,
                service="HTTP",
                channel_bindings=bound,
                protocol=place.transport,
                options=options,
            )
        except Exception as error:  # the libraries of Kerberos raise errors of their own, which may not be installed
            raise NoLogin(self._problem(error)) from error
        if getattr(self.context, "_nt_v1", False):
            raise NoLogin("the variable LM_COMPAT_LEVEL of this runner asks for a broken form of NTLM; take it away")

    def scheme_of(self, offered: Iterable[str]) -> str | None:
        by_name = {word.lower(): word for word in offered}
        if "negotiate" in by_name:
            return by_name["negotiate"]
        if self._place.transport == "kerberos" and "kerberos" in by_name:
            self.sealed_as = sealing.KERBEROS
            return by_name["kerberos"]
        return None

    def step(self, token: bytes | None) -> bytes | None:
        try:
            sent: bytes | None = self.context.step(token)
            return sent
        except Exception as error:  # a token of a hostile host may fail in any way within the library
            if isinstance(error, self._errors):
                raise NoLogin(self._problem(error)) from error
            raise NoLogin(f"its answer to the login cannot be read ({type(error).__name__})") from error

    @property
    def complete(self) -> bool:
        return bool(self.context.complete)

    def refused(self) -> str:
        return f"it refused the login of '{self._place.user}' with the password of its Credential"

    def _problem(self, error: Exception) -> str:
        said = " ".join(str(error).split())
        if self._place.transport == "kerberos":
            if "gssapi" in said.lower() or "No module" in said or "not available" in said:
                return "this runner has no Kerberos; install opsconductor[kerberos] on it"
            if "integrity check failed" in said or "Preauthentication failed" in said:
                return self.refused()
            return f"no Kerberos login of '{self._place.user}' for HTTP/{self._place.name}: {said}"
        return f"the login did not go through: {said}"


def _end_point(certificate: bytes) -> bytes:
    """What the host's certificate is called within a login (RFC 5929, 4.1)."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    weak: hashes.HashAlgorithm = hashes.SHA256()
    try:
        found = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        found = None
    digest = hashes.Hash(weak if found is None or found.name in ("md5", "sha1") else found)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()
