"""The connection `http`: an endpoint that steps ask, and no place where commands run."""

import asyncio
from urllib.parse import urlsplit

from runners.connections import Answered, NotSent, Probe, Refused, Session, Site, Stop, Unusable
from runners.connections.ways import Settings
from runners.limits import Capture
from runners.steps.exchange import Broken, Progress, Request, TooLong, exchange
from runners.steps.httprequest import login, tls
from runners.steps.inputs import Unfit
from runners.steps.reaching import Forbidden, Unreached
from schemas.target import HttpConnection

_NOT_LET_IN = frozenset({401, 403, 407})
_FAULT = 500


class OverHttp:
    """See Connection. It is probed by a GET of its baseUrl; what that gives is not judged, who may ask is."""

    def __init__(self, settings: Settings) -> None:
        # one exchange is what connecting and logging in are elsewhere
        self._patience = settings.limits.connect + settings.limits.login

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> Session:
        raise Unusable("no commands run over connection 'http'; use http.request")

    async def probe(self, site: Site) -> Probe:
        http = site.target.connections.http if site.target is not None else None
        if http is None:
            raise Unusable(f"{site.name} has no connection 'http'")
        try:
            async with asyncio.timeout(self._patience):
                answer = await exchange(_request(site, http), Progress())
        except Unfit as error:
            raise Unusable(str(error)) from error
        except TimeoutError:
            return NotSent(f"no answer within {self._patience:.0f} s")
        except (Unreached, Broken) as error:
            return NotSent(str(error))
        except (Forbidden, TooLong) as error:
            return Refused(str(error))
        if answer.status in _NOT_LET_IN:
            return Refused(f"status {answer.status}: it takes no such login")
        if answer.status >= _FAULT:
            return Refused(f"status {answer.status}")
        return Answered(f"status {answer.status}")

    async def close(self) -> None:
        """Every request has a connection of its own."""


def _request(site: Site, http: HttpConnection) -> Request:
    """Raises Unfit and Sealed."""
    base = str(http.base_url)
    credential = site.opened(http.credential_ref) if http.credential_ref is not None else None
    return Request(
        "GET",
        base,
        tuple(login(credential, None)),
        authored=lambda host: host.lower().strip("[]") == (urlsplit(base).hostname or ""),
        max_redirects=0,
        tls=tls(http.ca_cert, credential),
    )
