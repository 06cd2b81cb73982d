"""A real mail server on loopback, and what it was given."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope


@dataclass
class Mailbox:
    """What a mail server was given, and what it refuses."""

    port: int = 0
    refuses: str = ""
    word: str = "550 5.1.1 no such user\x1b"
    """What a recipient is refused with."""
    times: int | None = None
    """So often is one refused, and taken then; None for always."""
    got: list[Envelope] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address == self.refuses and self.times != 0:
            self.times = self.times if self.times is None else self.times - 1
            return self.word
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.got.append(envelope)
        return "451 4.3.0 later" if self.refuses == "data" else "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins += [data.login, data.password]
        return AuthResult(success=data.password == b"geheim-4711-mail", handled=False)


@asynccontextmanager
async def mailing(
    context: ssl.SSLContext | None = None, *, wrapped: bool = False, login: bool = True, **how: Any
) -> AsyncIterator[Mailbox]:
    box = Mailbox(**how)

    def session() -> SMTP:
        tls = {} if context is None else {"auth_required": True, "authenticator": box.login}
        if context is not None and not wrapped:
            tls |= {"tls_context": context, "require_starttls": True}
        if wrapped:
            tls |= {"auth_require_tls": not login}
        return SMTP(box, hostname="mail.test", **tls)

    loop = asyncio.get_running_loop()
    made = await loop.create_server(session, "127.0.0.1", 0, ssl=context if wrapped else None)
    box.port = made.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        made.close()
