"""Access tokens: RFC 6749 client credentials, asking only for the scopes that the app uses (requirements token-1, token-2, scope-1)."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from .state import State

MARGIN = 60.0


class TokenSource:
    """One token, kept until a minute before its end."""

    def __init__(
        self,
        http: httpx.Client,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        scopes: list[str],
        state: State,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http, self._token_url = http, token_url
        self._client_id, self._client_secret = client_id, client_secret
        self._scopes, self._state, self._clock = scopes, state, clock

    def current(self) -> str:
        """The token in hand, or a new one when it is about to end."""
        if not self._state.token or self._clock() > self._state.token_until - MARGIN:
            self.renew()
        return self._state.token

    def renew(self) -> None:
        """Take a new token."""
        answer = self._http.post(
            self._token_url,
            data={"grant_type": "client_credentials", "scope": " ".join(self._scopes)},
            auth=(self._client_id, self._client_secret),
        )
        answer.raise_for_status()
        found = answer.json()
        self._state.token = found["access_token"]
        self._state.token_until = self._clock() + float(found["expires_in"])
