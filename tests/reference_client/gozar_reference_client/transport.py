"""One call at a time, repeated when that can help: after 401 once, after 429 when told, in an outage with growing pauses."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from .tokens import TokenSource

MOST_TRIES = 5
FIRST_PAUSE = 0.5


class Refused(Exception):
    """A refusal that will not change by itself: show it, do not repeat it (limit-5)."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")
        self.answer = answer
        self.status = answer.status_code


class ConsentWithdrawn(Refused):
    """The patient has withdrawn consent: leave them alone (consent-1)."""


class GaveUp(Exception):
    """The service did not come back in time (limit-3)."""


class Transport:
    """Sends calls to a FHIR base. `name` is the app's name and version for User-Agent (proto-3)."""

    def __init__(
        self,
        http: httpx.Client,
        tokens: TokenSource,
        *,
        base: str,
        name: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http, self.tokens, self.base, self._name, self._sleep = http, tokens, base.rstrip("/"), name, sleep

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        json: Any = None,
        form: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one call; `path` is relative to the base, or a whole link of an answer. Raises `Refused`, `GaveUp`."""
        pause, renewed = FIRST_PAUSE, False
        for _ in range(MOST_TRIES):
            answer = self.once(method, path, headers=headers or {}, json=json, form=form)
            if answer.status_code == 401 and not renewed:
                self.tokens.renew()
                renewed = True
            elif answer.status_code == 429:
                self.wait_as_told(answer)
            elif answer.status_code in (502, 503, 504):
                self.wait_in_outage(answer, pause)
                pause *= 2
            elif answer.status_code >= 400:
                raise self.refusal(answer)
            else:
                return answer
        raise GaveUp(f"{method} {path}")

    def once(
        self, method: str, path: str, *, headers: dict[str, str], json: Any, form: dict[str, str] | None
    ) -> httpx.Response:
        """One attempt, with a request id of its own (proto-4)."""
        url = path if path.startswith(("http://", "https://")) else f"{self.base}/{path}"
        sent = {
            "authorization": f"Bearer {self.tokens.current()}",
            "accept": "application/fhir+json",
            "user-agent": self._name,
            "x-request-id": uuid.uuid4().hex,
            **headers,
        }
        if json is not None:
            sent["content-type"] = "application/fhir+json"
        return self._http.request(method, url, headers=sent, json=json, data=form)

    def wait_as_told(self, answer: httpx.Response) -> None:
        """Retry-After in seconds (limit-1)."""
        self._sleep(float(answer.headers.get("retry-after", "1")))

    def wait_in_outage(self, answer: httpx.Response, pause: float) -> None:
        """The longer of what we were told and our own growing pause (limit-2)."""
        self._sleep(max(pause, float(answer.headers.get("retry-after", "0"))))

    def refusal(self, answer: httpx.Response) -> Refused:
        """What kind of no this is."""
        return (
            ConsentWithdrawn(answer)
            if "consent" in answer.text.lower() and answer.status_code == 403
            else Refused(answer)
        )
