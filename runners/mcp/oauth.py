"""Tokens for an MCP server by the grant of client credentials (RFC 6749, 4.4), as the protocol's authorization has it.

The SDK asks the server which authorization server it trusts, reads that one's metadata, and asks it for a token; what
it finds must be of the issuer that the step names, so that no server can have the secret sent elsewhere. All of it
travels as the server's own requests do: addresses judged, answers bounded. A token lives as long as the conversation.
"""

import logging
from collections.abc import Callable

from mcp.client.auth import TokenStorage
from mcp.client.auth.exceptions import OAuthFlowError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

# It logs what an authorization server answers, unmasked; what matters of it is in the error.
logging.getLogger("mcp.client.auth.oauth2").disabled = True

Hide = Callable[[str], None]
"""Keeps a secret out of all output from now on. Raises ValueError for what is too short for that."""


def by_client_credentials(
    url: str, issuer: str, client: str, secret: str, hide: Hide
) -> ClientCredentialsOAuthProvider:
    """What logs in at the MCP server at `url`. `hide` is told each token before it is used."""
    return ClientCredentialsOAuthProvider(url, _Held(hide), client, secret, issuer=issuer)


class _Held(TokenStorage):
    """Keeps the tokens of one conversation in memory."""

    def __init__(self, hide: Hide) -> None:
        self._hide = hide
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        for token in filter(None, (tokens.access_token, tokens.refresh_token)):
            try:
                self._hide(token)
            except ValueError as error:
                raise OAuthFlowError(f"the authorization server gave a token that cannot be masked: {error}") from error
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """The client is known beforehand."""
