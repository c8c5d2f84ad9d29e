"""A careful client of another make: the standard library's HTTP, threads, JSON Patch, searches by POST, its own order of things.

Nothing of the reference client is used. The suite must pass it: what is judged is behaviour, not a way of writing programs.
"""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

SCOPES = (
    "system/Patient.rs system/Observation.rs system/AllergyIntolerance.rs system/MedicationRequest.rs "
    "system/MedicationRequest.cud system/MedicationDispense.rs"
)
TEHRAN = timezone(timedelta(hours=3, minutes=30))
Json = dict[str, Any]


class Gone(Exception):
    """The service said no for good."""


class OtherClient:
    """One method for each scenario; several threads share one token."""

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        self.url, self.credentials = url, b64encode(f"{client_id}:{secret}".encode()).decode()
        self.lock, self.token = threading.Lock(), ""
        self.not_before = 0.0
        self.etags: dict[str, tuple[str, Json]] = {}
        self.refused: set[str] = set()
        self.since = ""

    def renew(self, old: str) -> str:
        """A new token, taken by one thread for all."""
        with self.lock:
            if self.token == old:
                form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": SCOPES}).encode()
                asked = urllib.request.Request(f"{self.url}/sandbox/oauth/token", data=form)  # noqa: S310 -- our own server
                asked.add_header("authorization", f"Basic {self.credentials}")
                with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
                    self.token = json.load(answer)["access_token"]
            return self.token

    def send(
        self, method: str, path: str, body: Any = None, kind: str = "application/fhir+json", **fields: str
    ) -> tuple[int, Any, Json]:
        """Status, header fields and JSON of one call, repeated with growing pauses where that helps."""
        token, pause = self.token or self.renew(""), 0.6
        whole = path if path.startswith("http") else f"{self.url}/sandbox/fhir/R4/{path}"
        for _ in range(6):
            while (wait := self.not_before - time.monotonic()) > 0:
                time.sleep(wait)
            asked = urllib.request.Request(whole, method=method)  # noqa: S310 -- our own server
            asked.data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
            given = {
                "Authorization": f"Bearer {token}",
                "Accept": "application/json;q=0.5, application/fhir+json",
                "User-Agent": "DaruYar/3.2 (+https://daru.example.ir)",
                "X-Request-Id": str(uuid.uuid4()),
                **({"Content-Type": kind} if body is not None else {}),
                **{name.replace("_", "-"): value for name, value in fields.items()},
            }
            for name, value in given.items():
                asked.add_header(name, value)
            status, headers, answer = self._answer(asked)
            if status == 401:
                token = self.renew(token)
            elif status == 429:
                self.not_before = time.monotonic() + float(headers["Retry-After"]) + random.random() / 5
            elif status in (502, 503, 504):
                time.sleep(pause + random.random() / 3)
                pause *= 2
            elif status in (400, 403, 404, 422):
                raise Gone(f"{status} {path}")
            else:
                return status, headers, answer
        raise Gone(path)

    def _answer(self, asked: urllib.request.Request) -> tuple[int, Any, Json]:
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                raw = answer.read()
                return answer.status, answer.headers, json.loads(raw) if raw else {}
        except urllib.error.HTTPError as error:
            raw = error.read()
            found = json.loads(raw) if raw and "json" in error.headers.get("content-type", "") else {}
            return error.code, error.headers, found

    def read(self, path: str) -> Json:
        known = self.etags.get(path)
        status, headers, found = self.send("GET", path, **({"If_None_Match": known[0]} if known else {}))
        if status == 304 and known:
            return known[1]
        self.etags[path] = (headers["ETag"], found)
        return found

    def every(self, first: str) -> list[Json]:
        """A list, page by page."""
        rows, link = [], first
        while link:
            found = self.send("GET", link)[2]
            rows += [entry["resource"] for entry in found.get("entry", [])]
            link = next((row["url"] for row in found.get("link", []) if row["relation"] == "next"), "")
        return rows

    def together(self, *works: Callable[[], Any]) -> None:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work) for work in works]:
                done.result()

    def perform(self, scenario: str, inputs: dict[str, str]) -> None:
        getattr(self, f"on_{scenario}")(inputs)

    def on_identify(self, inputs: dict[str, str]) -> None:
        form = urllib.parse.urlencode({"identifier": inputs["patient_identifier"], "_count": "2"})
        found = self.send("POST", "Patient/_search", form, "application/x-www-form-urlencoded")[2]
        patient = found["entry"][0]["resource"]["id"]
        self.together(
            lambda: self.read(f"Patient/{patient}"),
            lambda: self.every(f"AllergyIntolerance?patient={patient}"),
            lambda: self.send("GET", "metadata"),
        )

    def on_list(self, inputs: dict[str, str]) -> None:
        patient = inputs["patient"]
        self.every(f"Observation?subject=Patient/{patient}&category=laboratory,vital-signs&date=ge1900&_count=5")
        self.since = datetime.now(TEHRAN).isoformat(timespec="seconds")

    def on_limit(self, inputs: dict[str, str]) -> None:
        patient = inputs["patient"]
        self.together(
            lambda: self.read(f"Patient/{patient}"), lambda: self.every(f"AllergyIntolerance?patient={patient}")
        )

    def on_outage(self, inputs: dict[str, str]) -> None:
        self.read(f"Patient/{inputs['patient']}")

    def on_token(self, inputs: dict[str, str]) -> None:
        patient = inputs["patient"]
        self.together(
            lambda: self.read(f"Patient/{patient}"), lambda: self.every(f"MedicationRequest?patient={patient}&_count=3")
        )

    def on_prescribe(self, inputs: dict[str, str]) -> None:
        mine = {"system": "https://daru.example.ir/rx", "value": uuid.uuid4().hex}
        order = {
            "resourceType": "MedicationRequest",
            "identifier": [mine],
            "status": "draft",
            "intent": "order",
            "subject": {"reference": f"Patient/{inputs['patient']}"},
            "requester": {"reference": f"Practitioner/{inputs['practitioner']}"},
            "authoredOn": datetime.now(TEHRAN).isoformat(timespec="seconds"),
            "medicationCodeableConcept": {"text": "ایبوپروفن ۴۰۰ میلی‌گرم"},
            "dosageInstruction": [{"text": "روزی یک قرص پس از غذا"}],
        }
        self.every(f"AllergyIntolerance?patient={inputs['patient']}")
        condition = urllib.parse.urlencode({"identifier": f"{mine['system']}|{mine['value']}"})
        self.send("POST", "MedicationRequest", order, If_None_Exist=condition)

    def on_amend(self, inputs: dict[str, str]) -> None:
        for _ in range(4):
            # Looked up by search, for that brings the newest version too.
            found = self.send("GET", f"MedicationRequest?_id={inputs['resource'].partition('/')[2]}")[2]
            order = found["entry"][0]["resource"]
            order["note"] = [*order.get("note", []), {"text": "با آب فراوان"}]
            version = f'W/"{order["meta"]["versionId"]}"'
            status, _, _ = self.send("PUT", inputs["resource"], order, If_Match=version)
            if status < 300:
                self.etags.pop(inputs["resource"], None)
                return

    def on_dispense(self, inputs: dict[str, str]) -> None:
        self.together(
            lambda: self.read(inputs["resource"]),
            lambda: self.every(f"MedicationDispense?prescription={inputs['resource']}"),
        )

    def on_correct(self, inputs: dict[str, str]) -> None:
        when = urllib.parse.quote(f"ge{self.since}")
        self.every(f"Observation?patient={inputs['patient']}&_lastUpdated={when}")

    def on_merge(self, inputs: dict[str, str]) -> None:
        patient = self.read(f"Patient/{inputs['second']}")
        others = [link["other"]["reference"] for link in patient.get("link", []) if link["type"] == "replaced-by"]
        self.together(*(lambda other=other: self.read(other) for other in others))  # type: ignore[misc]

    def on_consent(self, inputs: dict[str, str]) -> None:
        for _ in range(2):
            for patient in (inputs["other"], inputs["patient"]):
                if patient in self.refused:
                    continue
                try:
                    self.read(f"Patient/{patient}")
                    self.every(f"Observation?patient={patient}&_count=20&category=vital-signs")
                except Gone:
                    self.refused.add(patient)
