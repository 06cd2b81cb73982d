"""Channel `email`: a mail by SMTP. Who is refused is said; all others get it, and get it once."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, unable
from runners.deliveries.plain import cut, plain
from runners.secrets import Opened, Sealed
from runners.steps.exchange import trusting
from runners.steps.reaching import Forbidden, Unreached, addresses_of

if TYPE_CHECKING:
    import aiosmtplib

_SUBJECT = 250
_NAMED = 3
"""Refused recipients that are named with what was said of them."""
_FAREWELL = 2.0
"""Seconds that a server has to answer QUIT."""


def mail(message: Message, settings: Mapping[str, Any], now: datetime) -> EmailMessage:
    """The mail. Line breaks and the like in a subject are blanks. Its Message-ID is the same in every attempt.

    Raises ValueError for addresses that are none.
    """
    made = EmailMessage(policy=POLICY)
    made["From"] = _address(settings["from"])
    made["To"] = [_address(one) for one in settings["to"]]
    # The library itself decodes what looks encoded, and would then write the line breaks that were in it.
    made["Subject"] = _one_line(message.subject).replace("=?", "= ?")
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{_word(message.id)}@{_address(settings['from']).domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(plain(message), charset="utf-8", cte="quoted-printable")
    if message.format == "html":
        made.add_alternative(message.text, subtype="html", charset="utf-8", cte="quoted-printable")
    return made


def _address(text: str) -> Address:
    if not text.isascii() or not text.isprintable() or "=?" in text or len(text) > 254:
        raise ValueError(f"'{_one_line(text)}' is no address")
    try:
        return Address(addr_spec=text)
    except (HeaderParseError, ValueError, IndexError) as error:
        raise ValueError(f"'{_one_line(text)}' is no address") from error


def _one_line(text: str) -> str:
    return cut(" ".join("".join(letter if letter.isprintable() else " " for letter in text).split()), _SUBJECT)


def _word(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and (letter.isalnum() or letter in ".-_"))


class Email:
    """See Channel."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        left = tuple(one for one in map(str, settings["to"]) if one not in message.reached)
        if not left:  # a commit has taken the others away
            return Delivered()
        try:
            made = mail(message, settings, datetime.now(UTC))
            login = _login(settings, opened)
            tls = trusting(settings.get("caCert"))
        except (Sealed, ValueError) as error:
            return unable(error)
        sending = _Sending(made, settings, left, message.reached, login, tls, self._limits.taking)
        try:
            async with asyncio.timeout(self._limits.total) as limit:
                return await sending.sent(limit)
        except TimeoutError:
            if sending.taken is not None:
                return sending.taken
            waited = self._limits.taking if sending.fate == "unknown" else self._limits.total
            return Later(f"no answer within {waited:.0f} s", fate=sending.fate)


def _login(settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> tuple[str, str] | None:
    if settings.get("credentialRef") is None:
        return None
    credential = opened(str(settings["credentialRef"]))
    if credential.username is None:
        raise Sealed(f"credential '{credential.name}' has no username to log in to the mail server with")
    return credential.username, credential.get("password")


class _Sending:
    """One conversation with a mail server. `fate` is what a break at this moment would mean, unless it is `taken`: then
    that is what became of it. `to` are the recipients that it is for, `reached` those who have it."""

    def __init__(
        self,
        made: EmailMessage,
        settings: Mapping[str, Any],
        to: tuple[str, ...],
        reached: frozenset[str],
        login: tuple[str, str] | None,
        tls: ssl.SSLContext,
        taking: float,
    ) -> None:
        self._made = made
        self._settings = settings
        self._to = to
        self._reached = reached
        self._login = login
        self._tls = tls
        self._taking = taking
        self.fate: Literal["notSent", "unknown"] = "notSent"
        self.taken: Delivery | None = None

    async def sent(self, limit: asyncio.Timeout) -> Delivery:
        """The limit is put off when the mail itself is handed over."""
        import aiosmtplib

        server = str(self._settings["server"])
        try:
            client = await self._connected(server)
        except aiosmtplib.SMTPNotSupported:
            # Many a server does so for the hour in which its certificate is renewed: no message is at fault.
            words = "offers no STARTTLS, and nothing is sent without; write security: tls, if it takes TLS at once"
            return Later(f"{server} {words}", fate="notSent")
        except (Unreached, aiosmtplib.SMTPException, OSError) as error:
            # The library is given a socket, and names the port that it was not given.
            why = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) and error.__cause__ else error
            return Later(f"no connection to {server}:{self._settings['port']}: {_words(why)}", fate="notSent")
        except Forbidden as error:
            return unable(error)
        try:
            return await self._spoken(client, limit)
        except aiosmtplib.SMTPResponseException as error:
            words = f"{server} says {error.code} {_one_line(error.message)}"
            return Never(words) if 500 <= error.code <= 599 else Later(words)
        except UnicodeError as error:
            return Never(f"{server}: {_words(error)}")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Later(f"the connection to {server} broke: {_words(error)}", fate=self.fate)
        finally:
            client.close()

    async def _connected(self, server: str) -> "aiosmtplib.SMTP":
        """Connected to an address that was judged; TLS asks for the name."""
        import aiosmtplib

        port, how = int(self._settings["port"]), self._settings["security"]
        addresses = await addresses_of(server, port, authored=True, networks=())
        error: Exception = Unreached("no address")
        for address in addresses[:4]:
            sock = await _socket(address, port)
            if isinstance(sock, OSError):
                error = sock
                continue
            client = aiosmtplib.SMTP(
                hostname=server,
                sock=sock,
                use_tls=how == "tls",
                start_tls=False,
                tls_context=self._tls,
                local_hostname=_word(socket.gethostname()) or "localhost",
                timeout=None,
            )
            try:
                await client.connect()
                if how == "starttls":
                    await client.ehlo()
                    if not client.supports_extension("starttls"):
                        raise aiosmtplib.SMTPNotSupported("STARTTLS is not offered")
                    await client.starttls(server_hostname=server, tls_context=self._tls)
            except BaseException:
                client.close()
                raise
            return client
        raise error

    async def _spoken(self, client: "aiosmtplib.SMTP", limit: asyncio.Timeout) -> Delivery:
        import aiosmtplib

        if self._login is not None:
            await client.login(*self._login)
        await client.mail(str(self._settings["from"]))
        refused: dict[str, aiosmtplib.SMTPRecipientRefused] = {}
        for one in self._to:
            try:
                await client.rcpt(one)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused[one] = error
        if len(refused) == len(self._to):
            return self._told(refused, self._reached)
        self.fate = "unknown"
        limit.reschedule(asyncio.get_running_loop().time() + self._taking)
        await client.data(self._made.as_bytes())
        taken = self._reached.union(self._to).difference(refused)
        self.taken = self._told(refused, taken) if refused else Delivered()
        # The mail is theirs now: nothing that becomes of the farewell may have it sent again.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_FAREWELL):
                await client.quit()
        return self.taken

    def _told(self, refused: "Mapping[str, aiosmtplib.SMTPRecipientRefused]", reached: frozenset[str]) -> Delivery:
        """Who of them may be taken another time is tried again, and with them those who are refused for good."""
        each = [f"{one}: {error.code} {_one_line(error.message)}" for one, error in refused.items()]
        more = f" and {len(each) - _NAMED} more" if len(each) > _NAMED else ""
        others = "; the others have it" if reached else ""
        words = f"{self._settings['server']} refuses {', '.join(each[:_NAMED])}{more}{others}"
        if all(500 <= error.code <= 599 for error in refused.values()):
            return Never(words, reached)
        return Later(words, reached=reached)


async def _socket(address: str, port: int) -> socket.socket | OSError:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except OSError as error:
        sock.close()
        return error
    except BaseException:
        sock.close()
        raise
    return sock


def _words(error: BaseException) -> str:
    return _one_line(str(error)) or type(error).__name__
