"""Consent and access record: what a citizen lets an App see (DataAccessGrant), by purpose and category, and taking it back.

A patient with no Consent in the record is open to Apps by their scopes: test data would be of no use otherwise. A patient with
any Consent is governed by them: an App sees what an active permit lets it see, less what is denied. Revoking takes effect on the
next call, because every call looks. http://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import ACT_CODE, ACT_REASON, CATEGORY, LOINC, NATIONAL, Resource, concept
from sandbox.workflows.records import Records, copy, id_of, need, parse_instant, pointer, ref, stamp
from sandbox.workflows.task_machine import CLOCK_ONLY, Machine, arrow, states

APP: Final = f"{NATIONAL}/sid/app"
GRANT: Final = "data-access-grant"
GLASS_TIME: Final = timedelta(hours=4)
EMERGENCY: Final = "ETREAT"
PURPOSES: Final = ("TREAT", "HPAYMT", "HRESCH", "PATRQT", "PUBHLTH", EMERGENCY)
MACHINE: Final = Machine(
    name="consent",
    subject="Consent",
    initial=frozenset({"draft", "proposed", "active"}),
    states=states(
        ("draft", "پیش‌نویس"),
        ("proposed", "درخواست‌شده"),
        ("active", "فعال"),
        final=(("rejected", "ردشده"), ("inactive", "پایان‌یافته"), ("entered-in-error", "ثبت نادرست")),
    ),
    transitions=(
        arrow("propose", "draft", "proposed"),
        arrow("grant", "draft proposed", "active", effect="the App may see what it permits, from the next call"),
        arrow("reject", "proposed", "rejected"),
        arrow("revoke", "active", "inactive", effect="the App is shut out from the next call"),
        arrow("lapse", "active", "inactive", who=CLOCK_ONLY, effect="as a revocation, when the period ends"),
        arrow("retract", "draft proposed active", "entered-in-error"),
    ),
)

# What a citizen can withhold: kinds of resources, or a sensitivity label (v3-ActCode) in meta.security.
CATEGORY_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "medications": ("MedicationRequest", "MedicationDispense", "MedicationStatement", "MedicationAdministration"),
    "laboratory": ("DiagnosticReport", "Observation", "Specimen"),
    "conditions": ("Condition",),
    "allergies": ("AllergyIntolerance",),
    "immunizations": ("Immunization",),
    "procedures": ("Procedure",),
    "encounters": ("Encounter", "Appointment"),
    "documents": ("DocumentReference", "Communication", "Composition"),
    "claims": ("Claim", "ClaimResponse", "ExplanationOfBenefit", "Coverage"),
}
CATEGORY_LABELS: Final[dict[str, str]] = {
    "mental-health": "PSY",
    "sexual-health": "SEX",
    "hiv": "HIV",
    "substance-use": "ETH",
    "genetic": "GDIS",
}
CATEGORIES: Final = (*CATEGORY_TYPES, *CATEGORY_LABELS)


@dataclass(frozen=True, slots=True)
class Withheld:
    """What one App may not see of one patient: everything, or resource types and sensitivity labels."""

    everything: bool = False
    types: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def hides(self, resource: Resource) -> bool:
        """Whether a resource of that patient is withheld."""
        labels = {tag.get("code") for tag in resource.get("meta", {}).get("security", ())}
        return self.everything or resource["resourceType"] in self.types or bool(labels & self.labels)


NOTHING: Final = Withheld()


def withheld(consents: Iterable[Resource], app: str, now: datetime) -> Withheld:
    """What `app` may not see of the patient whose Consents these are (all of them, revoked ones too)."""
    everyone = list(consents)
    if not everyone:
        return NOTHING
    mine = [c for c in everyone if c.get("status") == "active" and _names(c, app) and _within(c, now)]
    permits = [c for c in mine if c.get("provision", {}).get("type", "permit") == "permit"]
    if any(_is_emergency(permit) for permit in permits):
        return NOTHING
    denied = [c["provision"] for c in mine if c.get("provision", {}).get("type") == "deny"]
    if not permits or any(not _categories(p) for p in denied):
        return Withheld(everything=True)
    nested = [p for c in permits for p in c.get("provision", {}).get("provision", ()) if p.get("type") == "deny"]
    names = {name for provision in (*denied, *nested) for name in _categories(provision)}
    types = frozenset(t for name in names for t in CATEGORY_TYPES.get(name, ()))
    return Withheld(types=types, labels=frozenset(CATEGORY_LABELS[n] for n in names if n in CATEGORY_LABELS))


def _is_emergency(consent: Resource) -> bool:
    return any(purpose.get("code") == EMERGENCY for purpose in consent.get("provision", {}).get("purpose", ()))


def _names(consent: Resource, app: str) -> bool:
    """Whether a Consent speaks of `app`: one without actors speaks of every App."""
    actors = consent.get("provision", {}).get("actor", ())
    if not actors:
        return True
    return any(a.get("reference", {}).get("identifier", {}).get("value") == app for a in actors)


def _within(consent: Resource, now: datetime) -> bool:
    period = consent.get("provision", {}).get("period", {})
    if "start" in period and parse_instant(period["start"]) > now:
        return False
    if "end" not in period:
        return True
    end = parse_instant(period["end"])
    return now < (end + timedelta(days=1) if len(period["end"]) == 10 else end)


def _categories(provision: Resource) -> list[str]:
    """Names of the categories a provision lists (Codings of the Workflows' own code system in `class`)."""
    return [str(c.get("code")) for c in provision.get("class", ()) if c.get("system") == CATEGORY]


def document(
    *, patient: str, app: str, purpose: str, withhold: Iterable[str], start: datetime, end: datetime | None
) -> Resource:
    """A Consent by which `patient` lets `app` see everything but the categories to `withhold`."""
    names = list(withhold)
    unknown = [name for name in names if name not in CATEGORIES]
    if unknown or purpose not in PURPOSES:
        raise UnprocessableError(
            Text(
                f"Unknown {'category ' + unknown[0] if unknown else 'purpose ' + purpose}. Categories: "
                f"{', '.join(CATEGORIES)}; purposes: {', '.join(PURPOSES)}.",
                f"«{unknown[0] if unknown else purpose}» شناخته نیست. دسته‌ها: {'، '.join(CATEGORIES)}؛ "
                f"هدف‌ها: {'، '.join(PURPOSES)}.",
            ),
            code="code-invalid",
            expression=("withhold" if unknown else "purpose",),
        )
    provision: dict[str, Any] = {
        "type": "permit",
        "period": {"start": stamp(start)} | ({"end": stamp(end)} if end else {}),
        "actor": [{"role": _RECIPIENT, "reference": {"identifier": {"system": APP, "value": app}}}],
        "purpose": [{"system": ACT_REASON, "code": purpose}],
    }
    if names:
        codings = [{"system": CATEGORY, "code": name} for name in names]
        provision["provision"] = [{"type": "deny", "class": codings}]
    return {
        "resourceType": "Consent",
        "status": "proposed",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(LOINC, "59284-0", "Patient Consent"), concept(CATEGORY, GRANT)],
        "patient": pointer(patient),
        "dateTime": stamp(start),
        "policyRule": concept(ACT_CODE, "OPTIN"),
        "provision": provision,
    }


_RECIPIENT: Final = concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")


async def ask(
    records: Records, *, patient: str, app: str, purpose: str, withhold: Iterable[str] = (), days: int = 0
) -> Resource:
    """An App asks a citizen for consent; the citizen grants or rejects."""
    await need(records, patient, "Patient", where="patient")
    end = records.now + timedelta(days=days) if days else None
    body = document(patient=patient, app=app, purpose=purpose, withhold=withhold, start=records.now, end=end)
    saved = await records.save(body)
    records.tell("consent-requested", saved, {"app": app, "purpose": purpose})
    return saved


async def step(records: Records, consent: Resource, verb: str, *, withhold: Iterable[str] = ()) -> Resource:
    """Grant (less the categories the citizen withholds), reject, revoke or lapse."""
    body = copy(consent)
    body["status"] = MACHINE.fire(verb, body["status"], who=records.actor, now=records.now, subject=ref(body))
    codings = [{"system": CATEGORY, "code": name} for name in withhold]
    if verb == "grant" and codings:
        body["provision"] = body["provision"] | {"provision": [{"type": "deny", "class": codings}]}
    saved = await records.save(body)
    end = saved.get("provision", {}).get("period", {}).get("end")
    if verb == "grant" and end:
        await records.later(parse_instant(end), "consent.lapse", ref(saved), {})
    records.tell(f"consent-{saved['status']}", saved, {"verb": verb})
    return saved


async def break_glass(records: Records, *, patient: str, app: str, reason: str) -> Resource:
    """Emergency access: the App sees everything of one patient for `GLASS_TIME`; the citizen is told who and why."""
    await need(records, patient, "Patient", where="patient")
    if len(reason.strip()) < 10:
        raise UnprocessableError(
            Text(
                "Emergency access needs a reason of at least ten characters.",
                "دسترسی اضطراری دلیلی با دست‌کم ده نویسه می‌خواهد.",
            ),
            expression=("reason",),
        )
    until = records.now + GLASS_TIME
    body = document(patient=patient, app=app, purpose=EMERGENCY, withhold=(), start=records.now, end=until)
    saved = await records.save(body | {"status": "active"})
    await records.later(until, "consent.lapse", ref(saved), {})
    message: Resource = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [concept(CATEGORY, "break-glass")],
        "subject": pointer(patient),
        "recipient": [pointer(patient)],
        "about": [pointer(ref(saved))],
        "sent": stamp(records.now),
        "payload": [{"contentString": f"دسترسی اضطراری به پروندهٔ شما / emergency access to your record: {reason}"}],
    }
    await records.save(message)
    records.tell("consent-glass-broken", saved, {"app": app, "reason": reason, "until": stamp(until)})
    return saved


async def lapse(records: Records, consent: Resource, _data: dict[str, str]) -> Resource | None:
    """Timer: a consent whose period ended."""
    return await step(records, consent, "lapse") if consent["status"] == "active" else None


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a Consent."""
    if before is None:
        MACHINE.start(str(new.get("status", "")))
        return
    MACHINE.follow(before["status"], new["status"], who=records.actor, now=records.now, subject=ref(before))
    if id_of(str(new.get("patient", {}).get("reference", "")), "Patient") != id_of(
        str(before.get("patient", {}).get("reference", "")), "Patient"
    ):
        raise UnprocessableError(
            Text("The patient of a Consent does not change.", "بیمار یک رضایت‌نامه تغییر نمی‌کند."),
            expression=("Consent.patient",),
        )


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a Consent: its event, and the timer of one that ends."""
    if before is not None and before["status"] == saved["status"]:
        return
    end = saved.get("provision", {}).get("period", {}).get("end")
    if saved["status"] == "active" and end and parse_instant(end) > records.now:
        await records.later(parse_instant(end), "consent.lapse", ref(saved), {})
    records.tell(f"consent-{'requested' if saved['status'] == 'proposed' else saved['status']}", saved, {})
