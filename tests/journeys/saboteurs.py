"""The reference client spoilt in one way each. Every variant names the one Requirement that it must fail."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from gozar_reference_client.app import SCOPES, App
from gozar_reference_client.client import FhirClient, Resource
from gozar_reference_client.state import State
from gozar_reference_client.tokens import TokenSource
from gozar_reference_client.transport import Refused, Transport


@dataclass(frozen=True)
class Parts:
    """What a client is built of; a saboteur replaces some."""

    app: type[App] = App
    fhir: type[FhirClient] = FhirClient
    transport: type[Transport] = Transport
    tokens: type[TokenSource] = TokenSource
    scopes: tuple[str, ...] = tuple(SCOPES)

    def open(self, url: str, client_id: str, client_secret: str, http: httpx.Client) -> App:
        state = State()
        tokens = self.tokens(
            http,
            token_url=f"{url}/sandbox/oauth/token",
            client_id=client_id,
            client_secret=client_secret,
            scopes=list(self.scopes),
            state=state,
        )
        transport = self.transport(http, tokens, base=f"{url}/sandbox/fhir/R4", name="saboteur/1.0.0")
        return self.app(self.fhir(transport, state))


class IgnoresRetryAfter(Transport):
    def wait_as_told(self, answer: httpx.Response) -> None:
        return


class HammersInOutage(Transport):
    def wait_in_outage(self, answer: httpx.Response, pause: float) -> None:
        return


class KeepsRefusedToken(TokenSource):
    renewals = 0

    def renew(self) -> None:
        if not self._state.token:
            super().renew()


class TokenEachCall(TokenSource):
    def current(self) -> str:
        self.renew()
        return self._state.token


class LeaksNationalCode(FhirClient):
    def find_by_identifier(self, kind: str, system: str, value: str) -> list[Resource]:
        return self.search(kind, identifier=f"{system}|{value}")


class BareIdentifier(FhirClient):
    def find_by_identifier(self, kind: str, system: str, value: str) -> list[Resource]:
        page = self.transport.send("POST", f"{kind}/_search", form={"identifier": value}).json()
        return [entry["resource"] for entry in page.get("entry", [])]


class FirstPageOnly(FhirClient):
    def next_link(self, page: Resource) -> str:
        return ""


class OwnPageAddresses(App):
    def do_list(self, inputs: dict[str, str]) -> None:
        super().do_list(inputs)
        try:
            self.fhir.search("Observation", patient=inputs["patient"], date="ge1900-01-01", _count="5", _page="2")
        except Refused:
            return


class NoIfMatch(FhirClient):
    def update(self, kind: str, identity: str, change: Callable[[Resource], None], tries: int = 3) -> Resource:
        for _ in range(tries):
            resource: Resource = self.transport.send("GET", f"{kind}/{identity}").json()
            change(resource)
            try:
                self.transport.send("PUT", f"{kind}/{identity}", json=resource)
            except Refused:
                continue
            return resource
        return {}


class OverridesConflict(FhirClient):
    def update(self, kind: str, identity: str, change: Callable[[Resource], None], tries: int = 3) -> Resource:
        answer = self.transport.send("GET", f"{kind}/{identity}")
        resource: Resource = answer.json()
        change(resource)
        for _ in range(tries):
            try:
                self.transport.send(
                    "PUT", f"{kind}/{identity}", headers={"if-match": answer.headers["etag"]}, json=resource
                )
            except Refused:
                continue
            return resource
        return {}


class DropsExtensions(FhirClient):
    def update(self, kind: str, identity: str, change: Callable[[Resource], None], tries: int = 3) -> Resource:
        def careless(resource: Resource) -> None:
            resource.pop("extension", None)
            change(resource)

        return super().update(kind, identity, careless, tries)


class WithoutCondition(FhirClient):
    """Looks before it repeats, so nothing is written twice; but the first attempt itself is not safe."""

    def create_once(self, resource: Resource) -> Resource:
        kind, identifier = resource["resourceType"], resource["identifier"][0]
        answer = self.transport.once("POST", kind, headers={}, json=resource, form=None)
        if answer.status_code < 400:
            return dict(resource)
        found = self.find_by_identifier(kind, identifier["system"], identifier["value"])
        if not found:
            self.transport.send("POST", kind, json=resource)
        return dict(resource)


class WritesTwice(App):
    def do_prescribe(self, inputs: dict[str, str]) -> None:
        self.fhir.search("AllergyIntolerance", patient=inputs["patient"])
        order = self.prescription(inputs["patient"], inputs["practitioner"])
        for _ in range(2):
            order["identifier"][0]["value"] = self.new_id()
            identifier = order["identifier"][0]
            condition = urlencode({"identifier": f"{identifier['system']}|{identifier['value']}"})
            self.fhir.transport.once(
                "POST", "MedicationRequest", headers={"if-none-exist": condition}, json=order, form=None
            )
            time.sleep(0.6)


class PlainJson(Transport):
    def once(
        self, method: str, path: str, *, headers: dict[str, str], json: Any, form: dict[str, str] | None
    ) -> httpx.Response:
        if json is None:
            return super().once(method, path, headers=headers, json=None, form=form)
        sent = {
            "authorization": f"Bearer {self.tokens.current()}",
            "accept": "application/fhir+json",
            "content-type": "application/json",
            "user-agent": self._name,
            "x-request-id": uuid.uuid4().hex,
            **headers,
        }
        return self._http.request(method, f"{self.base}/{path}", headers=sent, json=json)


class IgnoresConsent(App):
    def refresh(self, patient: str) -> None:
        try:
            self.fhir.read("Patient", patient)
        except Refused:
            return


class RepeatsRefusals(App):
    def do_identify(self, inputs: dict[str, str]) -> None:
        super().do_identify(inputs)
        for _ in range(2):
            try:
                self.fhir.read("Patient", "nobody-at-all")
            except Refused:
                continue


class IgnoresMerge(App):
    def do_merge(self, inputs: dict[str, str]) -> None:
        self.fhir.read("Patient", inputs["second"])
        self.results(inputs["second"])


class IgnoresCorrection(App):
    def do_correct(self, inputs: dict[str, str]) -> None:
        return


class ArabicLetters(App):
    def do_amend(self, inputs: dict[str, str]) -> None:
        kind, _, identity = inputs["resource"].partition("/")
        self.fhir.update(kind, identity, lambda resource: resource.update(note=[{"text": "پس از غذا ميل شود"}]))


class DeletesRecords(App):
    def do_correct(self, inputs: dict[str, str]) -> None:
        super().do_correct(inputs)
        try:
            self.fhir.transport.send("DELETE", inputs["resource"])
        except Refused:
            return


class AllergiesTooLate(App):
    def do_prescribe(self, inputs: dict[str, str]) -> None:
        self.fhir.create_once(self.prescription(inputs["patient"], inputs["practitioner"]))
        self.fhir.search("AllergyIntolerance", patient=inputs["patient"])


class NoDosage(App):
    def prescription(self, patient: str, practitioner: str) -> Resource:
        made = super().prescription(patient, practitioner)
        del made["dosageInstruction"]
        return made


class ClosesTooEarly(App):
    def do_dispense(self, inputs: dict[str, str]) -> None:
        super().do_dispense(inputs)
        kind, _, identity = inputs["resource"].partition("/")
        try:
            self.fhir.update(kind, identity, lambda resource: resource.update(status="cancelled"))
        except Refused:
            return


class PollsWildly(App):
    def do_correct(self, inputs: dict[str, str]) -> None:
        super().do_correct(inputs)
        for _ in range(7):
            self.fhir.transport.send("GET", f"Patient/{inputs['patient']}", headers={"if-none-match": 'W/"1"'})


class RepeatsWithoutCondition(FhirClient):
    """The first attempt is safe; the one after the lost answer is not."""

    def create_once(self, resource: Resource) -> Resource:
        kind, identifier = resource["resourceType"], resource["identifier"][0]
        condition = urlencode({"identifier": f"{identifier['system']}|{identifier['value']}"})
        answer = self.transport.once("POST", kind, headers={"if-none-exist": condition}, json=resource, form=None)
        if answer.status_code >= 500:
            time.sleep(0.6)
            self.transport.send("POST", kind, json=resource)
        return dict(resource)


class ReadsEverybody(App):
    def do_list(self, inputs: dict[str, str]) -> None:
        super().do_list(inputs)
        self.fhir.transport.send("GET", "Observation?code=8480-6&date=ge2020-01-01&_count=50")


class MakesUpParameters(App):
    def do_list(self, inputs: dict[str, str]) -> None:
        super().do_list(inputs)
        try:
            self.fhir.search("Observation", patientId=inputs["patient"], patient=inputs["patient"])
        except Refused:
            return


class AnyVersion(FhirClient):
    def update(self, kind: str, identity: str, change: Callable[[Resource], None], tries: int = 3) -> Resource:
        for _ in range(tries):
            resource: Resource = self.transport.send("GET", f"{kind}/{identity}").json()
            change(resource)
            try:
                self.transport.send("PUT", f"{kind}/{identity}", headers={"if-match": "*"}, json=resource)
            except Refused:
                continue
            return resource
        return {}


class PrescribesAgain(App):
    def do_dispense(self, inputs: dict[str, str]) -> None:
        super().do_dispense(inputs)
        order = self.fhir.transport.send("GET", inputs["resource"]).json()
        again = self.prescription(
            order["subject"]["reference"].partition("/")[2], order["requester"]["reference"].partition("/")[2]
        )
        self.fhir.create_once(again)


class FastClock(App):
    def prescription(self, patient: str, practitioner: str) -> Resource:
        made = super().prescription(patient, practitioner)
        later = datetime.now(UTC) + timedelta(hours=2)
        return {**made, "authoredOn": later.isoformat(timespec="seconds")}


class CodesWithoutSystem(App):
    def prescription(self, patient: str, practitioner: str) -> Resource:
        made = super().prescription(patient, practitioner)
        made["medicationCodeableConcept"]["coding"] = [{"code": "N02BE01"}]
        return made


class EmergencyWithoutReason(App):
    def do_list(self, inputs: dict[str, str]) -> None:
        super().do_list(inputs)
        body = {"resourceType": "Parameters", "parameter": []}
        try:
            self.fhir.transport.send("POST", f"Patient/{inputs['patient']}/$break-glass", json=body)
        except Refused:
            return


# Name -> (the client, the only Requirement it fails).
SABOTEURS: dict[str, tuple[Parts, str]] = {
    "ignores Retry-After": (Parts(transport=IgnoresRetryAfter), "limit-1"),
    "hammers in an outage": (Parts(transport=HammersInOutage), "limit-2"),
    "repeats refusals": (Parts(app=RepeatsRefusals), "limit-5"),
    "polls wildly": (Parts(app=PollsWildly), "limit-7"),
    "keeps a refused token": (Parts(tokens=KeepsRefusedToken), "token-2"),
    "takes a token for every call": (Parts(tokens=TokenEachCall), "token-1"),
    "leaks the national code": (Parts(fhir=LeaksNationalCode), "id-1"),
    "searches a bare identifier": (Parts(fhir=BareIdentifier), "id-5"),
    "reads the first page only": (Parts(fhir=FirstPageOnly), "page-1"),
    "builds page addresses": (Parts(app=OwnPageAddresses), "page-2"),
    "updates without If-Match": (Parts(fhir=NoIfMatch), "safe-1"),
    "writes over a conflict": (Parts(fhir=OverridesConflict), "safe-2"),
    "creates without a condition": (Parts(fhir=WithoutCondition), "safe-3"),
    "duplicates a prescription": (Parts(app=WritesTwice), "safe-4"),
    "drops extensions": (Parts(fhir=DropsExtensions), "data-1"),
    "writes Arabic letters": (Parts(app=ArabicLetters), "data-2"),
    "ignores consent": (Parts(app=IgnoresConsent), "consent-1"),
    "ignores a merge": (Parts(app=IgnoresMerge), "merge-1"),
    "ignores a correction": (Parts(app=IgnoresCorrection), "hr-2"),
    "deletes records": (Parts(app=DeletesRecords), "proto-7"),
    "sends plain JSON": (Parts(transport=PlainJson), "proto-1"),
    "asks for scopes it does not use": (Parts(scopes=(*SCOPES, "system/Immunization.rs")), "scope-1"),
    "asks for everything": (Parts(scopes=(*SCOPES, "system/*.cruds")), "scope-2"),
    "reads allergies too late": (Parts(app=AllergiesTooLate), "rx-3"),
    "prescribes without dosage": (Parts(app=NoDosage), "rx-1"),
    "closes a prescription too early": (Parts(app=ClosesTooEarly), "rx-4"),
    "prescribes again after a partial dispense": (Parts(app=PrescribesAgain), "rx-4"),
    "repeats a lost write without its condition": (Parts(fhir=RepeatsWithoutCondition), "safe-4"),
    "accepts any version": (Parts(fhir=AnyVersion), "safe-1"),
    "reads everybody's results": (Parts(app=ReadsEverybody), "page-4"),
    "makes up search parameters": (Parts(app=MakesUpParameters), "proto-8"),
    "asks to write what it only reads": (Parts(scopes=(*SCOPES, "system/Observation.cud")), "scope-1"),
    "runs on a fast clock": (Parts(app=FastClock), "data-4"),
    "writes codes without their system": (Parts(app=CodesWithoutSystem), "data-5"),
    "opens emergency access without a reason": (Parts(app=EmergencyWithoutReason), "consent-3"),
}
