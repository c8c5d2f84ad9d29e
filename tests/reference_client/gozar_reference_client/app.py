"""A tiny health app over the client: one method for each scenario of the suite, named for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .client import FhirClient, Resource
from .transport import ConsentWithdrawn

SYSTEM = "https://reference-client.example/prescription"
SCOPES = [
    "system/Patient.rs",
    "system/Observation.rs",
    "system/AllergyIntolerance.rs",
    "system/MedicationRequest.rs",
    "system/MedicationRequest.cud",
    "system/MedicationDispense.rs",
]


def now() -> str:
    """The time with its offset (data-3)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class App:
    """Does what a scenario asks; `perform("identify", inputs)`."""

    def __init__(self, fhir: FhirClient, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self.fhir, self.new_id = fhir, new_id

    def perform(self, scenario: str, inputs: dict[str, str]) -> None:
        """Run one scenario."""
        verb: Callable[[dict[str, str]], None] = getattr(self, f"do_{scenario}")
        verb(inputs)

    def do_identify(self, inputs: dict[str, str]) -> None:
        system, _, value = inputs["patient_identifier"].partition("|")
        for match in self.fhir.find_by_identifier("Patient", system, value):
            self.fhir.read("Patient", match["id"])

    def do_list(self, inputs: dict[str, str]) -> None:
        self.results(inputs["patient"], page=5)

    def results(self, patient: str, *, page: int = 50, since: str = "") -> list[Resource]:
        """A patient's results; with `since`, only those that changed after it (hr-1)."""
        wanted = {"patient": patient, "date": "ge1900-01-01", "_count": str(page)}
        found = self.fhir.search("Observation", **wanted, **({"_lastUpdated": f"gt{since}"} if since else {}))
        self.fhir.state.results_read_at = now()
        return found

    def do_limit(self, inputs: dict[str, str]) -> None:
        self.fhir.read("Patient", inputs["patient"])

    do_outage = do_limit
    do_token = do_limit

    def do_prescribe(self, inputs: dict[str, str]) -> None:
        self.fhir.search("AllergyIntolerance", patient=inputs["patient"])
        self.fhir.create_once(self.prescription(inputs["patient"], inputs["practitioner"]))

    def prescription(self, patient: str, practitioner: str) -> Resource:
        """A draft order, with an identifier of our own (safe-6, rx-1, rx-2, data-5)."""
        return {
            "resourceType": "MedicationRequest",
            "identifier": [{"system": SYSTEM, "value": self.new_id()}],
            "status": "draft",
            "intent": "order",
            "subject": {"reference": f"Patient/{patient}"},
            "requester": {"reference": f"Practitioner/{practitioner}"},
            "authoredOn": now(),
            "medicationCodeableConcept": {
                "coding": [{"system": "http://www.whocc.no/atc", "code": "N02BE01", "display": "paracetamol"}],
                "text": "استامینوفن ۵۰۰ میلی‌گرم",
            },
            "dosageInstruction": [{"text": "یک قرص هر ۸ ساعت در صورت درد"}],
        }

    def do_amend(self, inputs: dict[str, str]) -> None:
        kind, _, identity = inputs["resource"].partition("/")

        def add_note(resource: Resource) -> None:
            resource.setdefault("note", []).append({"text": "پس از غذا مصرف شود", "time": now()})

        self.fhir.update(kind, identity, add_note)

    def do_dispense(self, inputs: dict[str, str]) -> None:
        self.fhir.search("MedicationDispense", prescription=inputs["resource"])
        self.fhir.read("MedicationRequest", inputs["resource"].partition("/")[2])

    def do_correct(self, inputs: dict[str, str]) -> None:
        self.results(inputs["patient"], since=self.fhir.state.results_read_at or "1900-01-01T00:00:00Z")

    def do_merge(self, inputs: dict[str, str]) -> None:
        patient = self.fhir.read("Patient", inputs["second"])
        for link in patient.get("link", []):
            if link["type"] == "replaced-by":
                self.results(link["other"]["reference"].partition("/")[2])

    def do_consent(self, inputs: dict[str, str]) -> None:
        for _ in range(2):
            for patient in (inputs["patient"], inputs["other"]):
                self.refresh(patient)

    def refresh(self, patient: str) -> None:
        """Read a patient unless consent was withdrawn; when it was, never again (consent-1)."""
        if patient in self.fhir.state.withdrawn:
            return
        try:
            self.fhir.read("Patient", patient)
        except ConsentWithdrawn:
            self.fhir.state.withdrawn.append(patient)


def open_app(url: str, client_id: str, client_secret: str, state: Any, http: Any) -> App:
    """An App against a Gozar at `url`, in the sandbox."""
    from .tokens import TokenSource
    from .transport import Transport

    tokens = TokenSource(
        http,
        token_url=f"{url}/sandbox/oauth/token",
        client_id=client_id,
        client_secret=client_secret,
        scopes=SCOPES,
        state=state,
    )
    transport = Transport(http, tokens, base=f"{url}/sandbox/fhir/R4", name="gozar-reference-client/1.0.0")
    return App(FhirClient(transport, state))
