"""Secrets from HashiCorp Vault or OpenBao, over HTTPS, with a token that stands in a file of the runner's host.

The document names the path and nothing else: which server is asked and with what token is a setting of the host, and
what the token may read is the server's matter. The token is read anew each time, as its agent renews it.
"""

import re
from collections.abc import Mapping
from typing import Any

from runners.secrets.file import CAP, text_of
from runners.secrets.sources import Settings, VaultServer

TIMEOUT = 10.0
"""Seconds for the connection, and for each part of the answer."""
_PATH = re.compile(r"[A-Za-z0-9_.@+:-]+(?:/[A-Za-z0-9_.@+:-]+)+", re.ASCII)
_OF_THE_SERVER = ("sys", "auth", "identity", "cubbyhole")


class Vault:
    """The source `vault`. See SecretSource."""

    def __init__(self, settings: Settings) -> None:
        self._server = settings.host.vault

    def read(self, reference: Mapping[str, Any]) -> str | Mapping[str, str]:
        path, field = reference["path"], reference.get("field")
        if self._server is None:
            raise ValueError("this runner knows no vault; set OPSCONDUCTOR_VAULT_URL and OPSCONDUCTOR_VAULT_TOKEN")
        if not _PATH.fullmatch(path) or {"..", "."} & set(path.split("/")):
            raise ValueError(f"'{path[:80]}' is no path of a secret; write it as in secret/data/web")
        if path.partition("/")[0] in _OF_THE_SERVER:
            raise ValueError(f"'{path[:80]}' is a path of the vault itself, and holds no secret of yours")
        found = _fields(_asked(self._server, path), path)
        if field is None:
            return found
        if field not in found:
            raise ValueError(f"'{path}' in the vault has no '{field}'; it has: {', '.join(sorted(found)) or 'nothing'}")
        return found[field]


def _asked(server: VaultServer, path: str) -> Mapping[str, Any]:
    """What the server answers. Raises ValueError; no message holds anything of the answer."""
    try:
        import hvac
        import requests
        from hvac.exceptions import Forbidden, VaultError
    except ImportError:
        raise ValueError("the extra 'vault' is not installed here: pip install 'opsconductor[vault]'") from None
    session = requests.Session()
    session.trust_env = False  # no proxy, no netrc, no other certificates than those that are set
    try:
        client = hvac.Client(
            server.url,
            token=_token(server),
            verify=str(server.ca) if server.ca is not None else True,
            timeout=TIMEOUT,
            allow_redirects=False,  # the token would go along
            session=session,
            namespace=server.namespace,
        )
        answer = client.read(path)
    except Forbidden:
        raise ValueError(f"the vault refuses '{path}': its token has ended, or may not read it") from None
    except VaultError as error:
        raise ValueError(f"the vault gives no '{path}': {type(error).__name__}") from None
    except (requests.RequestException, UnicodeError) as error:
        raise ValueError(f"the vault at {server.url} does not answer: {type(error).__name__}") from None
    finally:
        session.close()
    if not isinstance(answer, Mapping) or not isinstance(answer.get("data"), Mapping):
        raise ValueError(f"the vault has no secret at '{path}' (of a version 2 engine the path has 'data' in it)")
    return answer


def _token(server: VaultServer) -> str:
    with server.token.open("rb") as stream:
        return text_of(stream.read(CAP), str(server.token)).strip()


def _fields(answer: Mapping[str, Any], path: str) -> Mapping[str, str]:
    """The fields of a secret: those of a key-value engine of version 2 stand one deeper, beside their metadata."""
    data = answer["data"]
    if isinstance(data.get("data"), Mapping) and isinstance(data.get("metadata"), Mapping):
        data = data["data"]
    if odd := sorted(str(name) for name, value in data.items() if not isinstance(value, str)):
        raise ValueError(f"'{odd[0][:80]}' of '{path}' in the vault is not one text")
    return dict(data)
