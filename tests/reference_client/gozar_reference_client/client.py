"""FHIR interactions done carefully: paging by links, conditional reads, versions named on update, creation that happens once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from .state import State
from .transport import Refused, Transport

Resource = dict[str, Any]


class FhirClient:
    """What an app needs of FHIR R4."""

    def __init__(self, transport: Transport, state: State) -> None:
        self.transport, self.state = transport, state

    def read(self, kind: str, identity: str) -> Resource:
        """A resource; one seen before is asked for with its ETag (cache-1)."""
        path = f"{kind}/{identity}"
        known = self.state.seen.get(path)
        answer = self.transport.send("GET", path, headers={"if-none-match": known["etag"]} if known else {})
        if answer.status_code == 304 and known:
            return dict(known["resource"])
        found: Resource = answer.json()
        self.state.seen[path] = {"etag": answer.headers.get("etag", ""), "resource": found}
        return found

    def search(self, kind: str, **parameters: str) -> list[Resource]:
        """Every match, page by page, following `next` exactly as given (page-1, page-2)."""
        found: list[Resource] = []
        link = f"{kind}?{urlencode(parameters)}"
        while link:
            page = self.transport.send("GET", link).json()
            found += [entry["resource"] for entry in page.get("entry", [])]
            link = self.next_link(page)
        return found

    def next_link(self, page: Resource) -> str:
        """Where the next page is, or empty."""
        return next((row["url"] for row in page.get("link", []) if row["relation"] == "next"), "")

    def find_by_identifier(self, kind: str, system: str, value: str) -> list[Resource]:
        """Matches of an identifier, which travels in the body, never in the address (id-1, id-4, id-5)."""
        page = self.transport.send("POST", f"{kind}/_search", form={"identifier": f"{system}|{value}"}).json()
        return [entry["resource"] for entry in page.get("entry", [])]

    def create_once(self, resource: Resource) -> Resource:
        """Create what must exist once: repeated after a lost answer it finds what was written (safe-3 to safe-6)."""
        identifier = resource["identifier"][0]
        condition = urlencode({"identifier": f"{identifier['system']}|{identifier['value']}"})
        answer = self.transport.send(
            "POST",
            resource["resourceType"],
            headers={"if-none-exist": condition, "prefer": "return=representation"},
            json=resource,
        )
        found: Resource = answer.json()
        return found

    def update(self, kind: str, identity: str, change: Callable[[Resource], None], tries: int = 3) -> Resource:
        """Read, change, write with the version read; on a conflict read and change again (safe-1, safe-2, data-1)."""
        for _ in range(tries):
            answer = self.transport.send("GET", f"{kind}/{identity}")
            resource: Resource = answer.json()
            change(resource)
            try:
                stored: Resource = self.transport.send(
                    "PUT",
                    f"{kind}/{identity}",
                    headers={"if-match": answer.headers["etag"], "prefer": "return=representation"},
                    json=resource,
                ).json()
            except Refused as refused:
                if refused.status not in (409, 412):
                    raise
                continue
            self.state.seen.pop(f"{kind}/{identity}", None)
            return stored
        raise RuntimeError(f"{kind}/{identity} is being changed by others all the time")
