"""Walk one Workflow of the sandbox from start to end, refused steps and races included.

    .venv/bin/python docs/examples/walk.py booking        against a server that `make run` started
    .venv/bin/python docs/examples/walk.py --list

A new demo App with a Tenant of its own is made for each walk (`gozar demo-app`); set GOZAR_CLIENT_ID, GOZAR_CLIENT_SECRET,
GOZAR_TOKEN_URL and GOZAR_FHIR_BASE_URL to walk with your own App instead. Only httpx is needed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
SID = "https://gozar.example/fhir/sid"
CODES = "https://gozar.example/fhir/CodeSystem"
DOCTOR = "Practitioner/persona-dr-family"
PHARMACIES = ("Organization/persona-pharmacy", "Organization/persona-pharmacy-2")
Step = Iterator[str]


class Refused(Exception):
    """An OperationOutcome instead of what was asked for."""

    def __init__(self, status: int, outcome: Json) -> None:
        self.status = status
        self.text = outcome["issue"][0]["details"]["text"]
        super().__init__(self.text)


class Sandbox:
    """A FHIR base and an App's token: four verbs are enough for every walk."""

    def __init__(self, client: httpx.Client) -> None:
        self.http = client

    def answer(self, response: httpx.Response) -> Json:
        body: Json = response.json() if response.content else {}
        if response.status_code >= 400:
            raise Refused(response.status_code, body)
        return body

    def get(self, path: str) -> Json:
        return self.answer(self.http.get(path))

    def find(self, path: str) -> list[Json]:
        return [entry["resource"] for entry in self.get(path).get("entry", [])]

    def post(self, path: str, body: Json) -> Json:
        return self.answer(self.http.post(path, json=body))

    def do(self, path: str, **named: Any) -> Json:
        """An operation: keyword arguments become a Parameters resource."""
        return self.post(path, parameters(**named))

    def refused(self, path: str, **named: Any) -> str:
        """Try what must not work; the reason is returned."""
        try:
            self.do(path, **named)
        except Refused as refusal:
            return f"refused with {refusal.status}"
        raise SystemExit(f"{path} should have been refused")

    def advance(self, seconds: int) -> None:
        """Move the Tenant's clock."""
        self.post("$sandbox-clock", {"advance_seconds": seconds})

    def race(self, *calls: tuple[str, Json]) -> str:
        """The same moment, several callers: how many won."""
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = list(pool.map(lambda call: self.http.post(call[0], json=parameters(**call[1])), calls))
        won = sum(answer.status_code < 300 for answer in answers)
        return f"{len(calls)} tried, {won} won, {sum(a.status_code == 409 for a in answers)} refused with 409"


def parameters(**named: Any) -> Json:
    entries: list[Json] = []
    for name, value in named.items():
        entries += [{"name": name} | _value(item) for item in (value if isinstance(value, list) else [value])]
    return {"resourceType": "Parameters", "parameter": entries}


def _value(item: Any) -> Json:
    if isinstance(item, str):
        is_reference = "/" in item and item[0].isupper() and " " not in item
        return {"valueReference": {"reference": item}} if is_reference else {"valueString": item}
    if isinstance(item, int | float):
        return {"valueInteger": item} if isinstance(item, int) else {"valueDecimal": item}
    if "resourceType" in item:
        return {"resource": item}
    if "timing" in item:
        return {"valueDosage": item}
    if "coding" in item:
        return {"valueCodeableConcept": item}
    return {"part": parameters(**item)["parameter"]}


def drug(code: str, quantity: int, per_day: int = 1, **more: Any) -> Json:
    """One line of a prescription."""
    repeat = {"frequency": per_day, "period": 1, "periodUnit": "d"}
    dosage = {"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": {"value": 1}}]}
    medication = {"coding": [{"system": f"{CODES}/drug", "code": f"SBX-{code}"}]}
    return {"medication": medication, "quantity": quantity, "dosage": dosage} | more


def at(resource: Json, verb: str = "") -> str:
    """`Type/id` of a resource, with an operation when given."""
    return f"{resource['resourceType']}/{resource['id']}" + (f"/${verb}" if verb else "")


def state(resource: Json) -> str:
    tags = resource["meta"].get("tag", [])
    return next((tag["code"] for tag in tags if tag["system"] == f"{CODES}/workflow-state"), resource["status"])


# --- the walks --------------------------------------------------------------------------------------------------------


def record(box: Sandbox) -> Step:
    person = box.get("Patient/persona-letters")
    code = person["identifier"][0]
    found = box.answer(box.http.post("Patient/_search", data={"identifier": f"{SID}/national-code|{code['value']}"}))
    yield f"by national code, in the body of a POST: {found['total']} patient"
    yield f"by name with Persian letters: {len(box.find('Patient?family=کیانی‌فر'))} patient"
    matched = box.do("Patient/$match", resource={"resourceType": "Patient", "identifier": [code]})
    yield f"$match: {matched['entry'][0]['search']['extension'][0]['valueCode']}"
    everything = box.get("Patient/persona-elderly/$everything?_count=200")
    yield f"$everything: {len({e['resource']['resourceType'] for e in everything['entry']})} kinds of resources"
    summary = box.get("Patient/persona-elderly/$summary")
    composition = summary["entry"][0]["resource"]
    yield f"$summary: a {summary['type']} with {len(composition['section'])} sections"
    box.do("Patient/persona-twin-b/$merge", into="Patient/persona-twin-a")
    gone = box.get("Patient/persona-twin-b")
    yield f"a duplicate merged: active={gone['active']}, link {gone['link'][-1]['type']}"
    yield f"merged again: {box.refused('Patient/persona-twin-b/$merge', into='Patient/persona-twin-a')}"


def consent(box: Sandbox) -> Step:
    seen = "Condition?patient=Patient/persona-withheld"
    yield f"a citizen who withholds everything: {len(box.find(seen))} conditions"
    box.do("Patient/persona-withheld/$break-glass", reason="unconscious in the emergency room")
    yield f"after breaking the glass: {len(box.find(seen))} condition"
    box.advance(4 * 3600)
    yield f"four hours later: {len(box.find(seen))} conditions"
    lab = "Observation?patient=Patient/persona-revoked"
    yield f"a citizen who revoked: {len(box.find(lab))} observations"
    granted = box.do("Consent/$request", patient="Patient/persona-revoked", purpose="TREAT")
    yield f"asked anew, the citizen says {granted['status']}: {len(box.find(lab))} observation"
    box.do(f"Consent/{granted['id']}/$revoke")
    yield f"revoked, felt by the next call: {len(box.find(lab))} observations"
    yield f"revoked twice: {box.refused(at(granted, 'revoke'))}"


def booking(box: Sandbox) -> Step:
    slots = [
        f"Slot/{slot['id']}" for slot in box.find("Slot?specialty=family-medicine&status=free&_sort=start&_count=30")
    ]
    yield f"free slots of a family doctor: {len(slots)}"
    held = box.do(f"{slots[-1]}/$hold", patient="Patient/persona-healthy")
    yield f"hold: {held['status']}, slot {box.get(slots[-1])['status']}"
    path = f"Appointment/{held['id']}"
    yield f"check-in before booking: {box.refused(f'{path}/$check-in')}"
    yield f"book, and the clinic confirms: {box.do(f'{path}/$book')['status']}, slot {box.get(slots[-1])['status']}"
    waiting = box.do("Schedule/persona-schedule-family/$wait", patient="Patient/persona-elderly")
    moved = box.do(f"{path}/$reschedule", slot=slots[-2])
    yield f"reschedule: {moved['status']}; whoever waited is offered the old slot: {box.get(at(waiting))['status']}"
    race = {"slot": slots[0], "patient": "Patient/persona-healthy"}
    yield f"two Apps, one slot: {box.race(('Appointment/$book', race), ('Appointment/$book', race))}"
    other = box.do(f"{slots[1]}/$hold", patient="Patient/persona-healthy")
    box.advance(600)
    yield f"a hold, ten minutes later: {box.get(at(other))['status']}, slot {box.get(slots[1])['status']}"
    box.advance(14 * 86400)
    yield f"on the day: {box.do(f'{path}/$check-in')['status']}, then {box.do(f'{path}/$fulfil')['status']}"
    yield f"cancelling what is done: {box.refused(f'{path}/$cancel')}"


def teleconsultation(box: Sandbox) -> Step:
    asked = box.do(
        "Task/$request-teleconsultation", patient="Patient/persona-healthy", practitioner=DOCTOR, reason="headache"
    )
    path, encounter = f"Task/{asked['id']}", asked["encounter"]["reference"]
    yield f"request, and the doctor accepts: {asked['status']}, Encounter {box.get(encounter)['status']}"
    link = box.get(encounter)["extension"][0]["valueUrl"]
    room = box.http.get(f"Encounter/$room?room={link.rpartition('=')[2]}")
    yield f"the room page: {room.status_code}"
    yield f"finish before the start: {box.refused(f'{path}/$finish', summary='nothing')}"
    yield f"start: {box.do(f'{path}/$start')['status']}"
    box.do(f"{path}/$say", text="since yesterday", sender="Patient/persona-healthy")
    yield f"messages: {len(box.find(f'Communication?encounter={encounter}'))}"
    done = box.do(f"{path}/$finish", summary="Migraine; treated.", followUp="Blood test")
    yield f"finish: {done['status']}, Encounter {box.get(encounter)['status']}, {len(done['output'])} outputs"
    box.post("$sandbox-counterparts", {"counterparts": {"doctor": {"mode": "silent"}}})
    silent = box.do(
        "Task/$request-teleconsultation", patient="Patient/persona-healthy", practitioner=DOCTOR, reason="cough"
    )
    box.advance(1800)
    yield f"a doctor who never answers, half an hour later: {box.get('Task/' + silent['id'])['status']}"


def prescription(box: Sandbox) -> Step:
    trap = box.do(
        "RequestGroup/$prescribe",
        patient="Patient/persona-interaction-trap",
        prescriber=DOCTOR,
        item=[drug("ibuprofen", 20, 3)],
    )
    found = box.get(f"RequestGroup/{trap['id']}/$check")
    yield f"check: {found['issue'][0]['severity']}, {found['issue'][0]['details']['coding'][0]['code']}"
    yield f"sign in spite of it: {box.refused(at(trap, 'sign'), signer=DOCTOR)}"
    signed = box.do(f"RequestGroup/{trap['id']}/$sign", signer=DOCTOR, override="short course, INR watched")
    yield f"sign with a reason: {state(signed)}"
    draft = box.do(
        "RequestGroup/$prescribe",
        patient="Patient/persona-healthy",
        prescriber=DOCTOR,
        item=[drug("metformin", 60, 2)],
        key="visit-1",
    )
    again = box.do(
        "RequestGroup/$prescribe",
        patient="Patient/persona-healthy",
        prescriber=DOCTOR,
        item=[drug("metformin", 60, 2)],
        key="visit-1",
    )
    yield f"the same key twice: {'one prescription' if draft['id'] == again['id'] else 'two'}"
    path = f"RequestGroup/{draft['id']}"
    yield f"issue before signing: {box.refused(f'{path}/$issue')}"
    box.do(f"{path}/$sign", signer=DOCTOR)
    issued = box.do(f"{path}/$issue")
    code = next(i["value"] for i in issued["identifier"] if i["system"] == f"{SID}/prescription-code")
    yield f"issue: {state(issued)}, a prescription code of {len(code)} digits"
    race = box.do(
        "RequestGroup/$prescribe", patient="Patient/persona-healthy", prescriber=DOCTOR, item=[drug("losartan", 30)]
    )
    both = (
        (f"RequestGroup/{race['id']}/$sign", {"signer": DOCTOR}),
        (f"RequestGroup/{race['id']}/$cancel", {"reason": "changed"}),
    )
    yield f"sign and cancel at once: {box.race(*both)}"
    yield f"cancel: {state(box.do(f'{path}/$cancel', reason='wrong patient'))}"
    yield f"issue what is cancelled: {box.refused(f'{path}/$issue')}"


def pharmacy(box: Sandbox) -> Step:
    draft = box.do(
        "RequestGroup/$prescribe", patient="Patient/persona-healthy", prescriber=DOCTOR, item=[drug("metformin", 60, 2)]
    )
    box.do(f"RequestGroup/{draft['id']}/$sign", signer=DOCTOR)
    issued = box.do(f"RequestGroup/{draft['id']}/$issue")
    code = next(i["value"] for i in issued["identifier"] if i["system"] == f"{SID}/prescription-code")
    national = box.get("Patient/persona-healthy")["identifier"][0]["value"]
    found = box.do("RequestGroup/$find-prescription", nationalCode=national, prescriptionCode=code)
    yield f"find by both codes: {len(found['parameter']) - 1} item"
    wrong = {"nationalCode": national, "prescriptionCode": "00000000"}
    yield f"find with a wrong code: {box.refused('RequestGroup/$find-prescription', **wrong)}"
    path, request = f"RequestGroup/{draft['id']}", draft["action"][0]["resource"]["reference"]
    box.do(f"{path}/$reserve", pharmacy=PHARMACIES[0])
    part = [{"request": request, "quantity": 20}]
    other = {"pharmacy": PHARMACIES[1], "key": "b", "item": part}
    yield f"another pharmacy while it is reserved: {box.refused(f'{path}/$dispense', **other)}"
    brand = {"coding": [{"system": f"{CODES}/drug", "code": "SBX-metformin-brand-a"}]}
    done = box.do(f"{path}/$dispense", pharmacy=PHARMACIES[0], key="a", item=[part[0] | {"product": brand}])
    dispense = done["parameter"][0]["resource"]
    yield f"part, substituted: {state(box.get(path))}, substituted={dispense['substitution']['wasSubstituted']}"
    box.do(f"{path}/$dispense", pharmacy=PHARMACIES[0], key="a", item=part)
    yield f"the same key again: {len(box.find(f'MedicationDispense?prescription={request}'))} dispense"
    rest = [{"request": request, "quantity": 40}]
    calls = [(f"{path}/$dispense", {"pharmacy": p, "key": f"race {p}", "item": rest}) for p in PHARMACIES]
    yield f"two pharmacies at once: {box.race(*calls)}"
    yield f"all handed over: {state(box.get(path))}"
    box.do(f"MedicationDispense/{dispense['id']}/$return", reason="wrong strength")
    yield f"one returned: {state(box.get(path))}"
    claim = box.post("Claim", _claim(dispense["medicationCodeableConcept"]))
    answer = box.find(f"ClaimResponse?request=Claim/{claim['id']}")[0]
    asked, paid = (total["amount"]["value"] for total in answer["total"])
    yield f"claim: {answer['outcome']}, the insurer pays {paid} of {asked} rials"


def _claim(product: Json) -> Json:
    return {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "pharmacy"}]},
        "use": "claim",
        "patient": {"reference": "Patient/persona-healthy"},
        "created": "2026-11-22",
        "provider": {"reference": PHARMACIES[0]},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/persona-healthy-coverage"}}],
        "item": [{"sequence": 1, "productOrService": product, "quantity": {"value": 20}, "net": {"value": 100000, "currency": "IRR"}}],
    }  # fmt: skip


def laboratory(box: Sandbox) -> Step:
    potassium = "2823-3"
    script = {"laboratory": {"mode": "accept", "options": {"values": {potassium: 6.9}}}}
    box.post("$sandbox-counterparts", {"counterparts": script})
    order = box.do("ServiceRequest/$order", patient="Patient/persona-healthy", requester=DOCTOR, test=[potassium])
    path = f"ServiceRequest/{order['id']}"
    yield f"order: {state(order)}"
    box.advance(3600)
    yield f"an hour later: {state(box.get(path))}, {len(box.find('Specimen?subject=Patient/persona-healthy'))} specimen"
    box.advance(3600)
    yield f"two hours: DiagnosticReport {box.find(f'DiagnosticReport?based-on={path}')[0]['status']}"
    box.advance(2 * 3600)
    report = box.find(f"DiagnosticReport?based-on={path}")[0]
    value = box.get(report["result"][0]["reference"])
    flag = value["interpretation"][0]["coding"][0]["code"]
    yield f"four hours: {report['status']}, potassium {value['valueQuantity']['value']}, flag {flag}"
    yield f"critical-value alerts: {len(box.find(f'Communication?recipient={DOCTOR}')) > 0}"
    fixed = box.do(f"{path}/$report", stage="corrected", result=[{"code": potassium, "value": 4.2}])
    history = box.get(f"{report['result'][0]['reference']}/_history")
    values = {entry["resource"]["valueQuantity"]["value"] for entry in history["entry"]}
    yield f"corrected: {fixed['status']}, {len(values)} values in the history"
    yield f"cancel what is resulted: {box.refused(f'{path}/$cancel', reason='late')}"
    image = box.do(
        "ServiceRequest/$order-imaging", patient="Patient/persona-healthy", requester=DOCTOR, study="Chest X-ray"
    )
    box.advance(2 * 3600)
    found = box.find(f"DiagnosticReport?based-on=ServiceRequest/{image['id']}")[0]
    yield f"imaging: {found['status']}, report as {found['presentedForm'][0]['contentType'].split(';')[0]}"


def referral(box: Sandbox) -> Step:
    heart = "Practitioner/persona-dr-cardiology"
    named = {"patient": "Patient/persona-healthy", "requester": DOCTOR, "to": heart, "reason": "murmur"}
    sent = box.do("Task/$refer", **named)
    yield f"refer, and the specialist accepts: {sent['status']}"
    yield f"reject after accepting: {box.refused(at(sent, 'reject'), reason='no')}"
    box.advance(86400)
    done = box.get(f"Task/{sent['id']}")
    answer = box.get(done["output"][0]["valueReference"]["reference"])
    yield f"a day later: {done['status']}, answered to {answer['recipient'][0]['reference']}"
    box.post("$sandbox-counterparts", {"counterparts": {"specialist": {"mode": "decline"}}})
    declined = box.do("Task/$refer", **named)
    yield f"a specialist who declines: {declined['status']}, order {box.get(declined['focus']['reference'])['status']}"


def notifications(box: Sandbox) -> Step:
    with Receiver() as hook:
        subscription = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "walk",
            "criteria": "https://gozar.example/fhir/SubscriptionTopic/appointment",
            "channel": {"type": "rest-hook", "endpoint": hook.url, "payload": "application/fhir+json"},
        }
        made = box.post("Subscription", subscription)
        path = f"Subscription/{made['id']}"
        yield f"handshake: {hook.next()['kind']}"
        slot = box.find("Slot?status=free&_sort=start&_count=1")[0]
        secret = box.get(f"{path}/$signing-secret")["parameter"][0]["valueString"]
        box.do("Appointment/$book", slot=f"Slot/{slot['id']}", patient="Patient/persona-healthy")
        for _ in range(3):
            event = hook.next()
            yield f"event {event['number']}: {event['event']}, signature {event['verify'](secret)}"
        yield f"$status: {box.get(f'{path}/$status')['entry'][0]['resource']['parameter'][2]['valueCode']}"
        again = box.get(f"{path}/$events?eventsSinceNumber=2")
        yield f"$events since 2: {len(again['entry']) - 1}"


class Receiver:
    """A small server of your own that takes notifications."""

    def __enter__(self) -> Receiver:
        self.got: list[Json] = []
        self.arrived = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(dict(self.headers), body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, headers: Json, body: bytes) -> None:
        status = json.loads(body)["entry"][0]["resource"]["parameter"]
        kind = next(p["valueCode"] for p in status if p["name"] == "type")
        parts = next((p["part"] for p in status if p["name"] == "notification-event"), [])
        values = {p["name"]: p.get("valueString") for p in parts}

        def verify(secret: str) -> str:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            return "valid" if headers["webhook-signature"] == f"v1,{made}" else "INVALID"

        self.got.append(
            {"kind": kind, "number": values.get("event-number"), "event": values.get("event"), "verify": verify}
        )
        self.arrived.release()

    def next(self) -> Json:
        if not self.arrived.acquire(timeout=20):
            raise SystemExit("no notification came")
        return self.got.pop(0)


def controls(box: Sandbox) -> Step:
    fault = {"kind": "burst", "route": "Patient/*", "left": 1, "seconds": 2}
    box.post("$sandbox-faults", {"faults": [fault]})
    answer = box.http.get("Patient/persona-healthy")
    yield f"a planned burst: {answer.status_code}, Retry-After {answer.headers['retry-after']}"
    yield f"the next call: {box.http.get('Patient/persona-healthy').status_code}"
    box.post("$sandbox-faults", {"faults": [{"kind": "timeout", "route": "*/$prescribe", "left": 1}]})
    named = {"patient": "Patient/persona-healthy", "prescriber": DOCTOR, "item": [drug("metformin", 30)], "key": "once"}
    yield f"an answer lost after the write: {box.refused('RequestGroup/$prescribe', **named)}"
    box.do("RequestGroup/$prescribe", **named)
    yield f"the retry with its key: {len(box.find('RequestGroup?patient=Patient/persona-healthy'))} prescription"
    kept = box.post("$sandbox-snapshots", {"name": "before"})["snapshot"]
    box.post("$sandbox-reset", {})
    yield f"reset: {len(box.find('RequestGroup?patient=Patient/persona-healthy'))} prescriptions"
    box.post("$sandbox-restore", {"snapshot": kept})
    yield f"restored: {len(box.find('RequestGroup?patient=Patient/persona-healthy'))} prescription"
    topics = [event["topic"] for event in box.get("$sandbox-timeline")["events"]]
    yield f"the timeline, newest first: {', '.join(topics)}"


def below(url: str) -> str:
    """An address of the exchange, from its FHIR base on."""
    return url.partition("/fhir/R4/")[2]


def population(box: Sandbox) -> Step:
    def export(path: str) -> dict[str, list[Json]]:
        started = box.http.get(path, headers={"prefer": "respond-async"})
        if started.status_code >= 400:
            raise Refused(started.status_code, started.json())
        while (status := box.http.get(below(started.headers["content-location"]))).status_code == 202:
            time.sleep(float(status.headers.get("retry-after", "1")))
        files = {item["type"]: box.http.get(below(item["url"])).text for item in status.json()["output"]}
        return {kind: [json.loads(line) for line in text.splitlines()] for kind, text in files.items()}

    def refused(path: str) -> str:
        try:
            export(path)
        except Refused as refusal:
            return f"refused with {refusal.status}"
        raise SystemExit(f"{path} should have been refused")

    everybody = export("$export?_type=Patient,Condition,Observation")
    yield f"de-identified files: {', '.join(sorted(everybody))}"
    text = json.dumps(everybody, ensure_ascii=False)
    yield f"persona ids in them: {text.count('persona-')}"
    named = [row for row in everybody["Patient"] if {"name", "identifier", "telecom", "contact"} & set(row)]
    yield f"patients with a name, an identifier or a telephone: {len(named)}"
    cohort = export("Group/persona-cohort-chronic/$export?_type=Patient,Condition")
    ids = {row["id"] for row in cohort["Patient"]}
    yield f"a cohort of eight, one of whom withholds everything: {len(ids)} patients"
    owners = {row["subject"]["reference"].removeprefix("Patient/") for row in cohort["Condition"]}
    yield f"their conditions point inside the export: {owners <= ids}"
    yield f"the same ids next time: {ids == {row['id'] for row in export('Group/persona-cohort-chronic/$export')['Patient']}}"
    yield f"a cohort of two: {refused('Group/persona-cohort-small/$export')}"
    yield f"one named patient: {refused('Patient/$export?patient=Patient/persona-healthy')}"
    try:
        box.get("Patient/persona-healthy")
    except Refused as refusal:
        yield f"reading a record with this token: refused with {refusal.status}"


WALKS: dict[str, Callable[[Sandbox], Step]] = {
    walk.__name__: walk
    for walk in (record, consent, booking, teleconsultation, prescription, pharmacy, laboratory, referral, notifications, controls,
                 population)
}  # fmt: skip

SCOPES = {"population": "system/Population.r"}


def scope_of(name: str) -> str:
    """What a walk's token asks for."""
    return SCOPES.get(name, "system/*.cruds")


def lines(name: str, box: Sandbox) -> Iterator[str]:
    """What a walk says, one numbered line a step."""
    for number, text in enumerate(WALKS[name](box), 1):
        yield f"{number:2}. {text}"


def credentials(scope: str) -> dict[str, str]:
    """Your own App from the environment, or a new demo App."""
    names = ("client_id", "client_secret", "token_url", "fhir_base_url")
    own = {name: os.environ.get(f"GOZAR_{name.upper()}", "") for name in names}
    if all(own.values()):
        return own
    command = [str(Path(sys.executable).with_name("gozar")), "demo-app", "--environment", "sandbox", "--json"]
    command += ["--scope", scope, "--rate-limit", "100/second"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own command
    found: dict[str, str] = json.loads(made.stdout)
    return found


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in WALKS:
        raise SystemExit(f"usage: walk.py {'|'.join(WALKS)}")
    scope = scope_of(sys.argv[1])
    app = credentials(scope)
    form = {"grant_type": "client_credentials", "scope": scope}
    token = httpx.post(app["token_url"], data=form, auth=(app["client_id"], app["client_secret"]), timeout=30)
    token.raise_for_status()
    headers = {"authorization": f"Bearer {token.json()['access_token']}"}
    with httpx.Client(base_url=app["fhir_base_url"] + "/", headers=headers, timeout=30) as client:
        for line in lines(sys.argv[1], Sandbox(client)):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
