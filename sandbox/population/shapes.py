"""What is kept of each resource type, element by element: whatever is not named here is left out.

A leaf says what kind of value it is; `rules` knows how each kind is cleaned. Free text, names, identifiers, narratives, extensions,
contained resources, attachments, practitioners and organisations have no leaf, so they cannot pass.
"""

from __future__ import annotations

from typing import Any, Final, Literal

Kind = Literal["flag", "code", "number", "concept", "coding", "quantity", "age", "date", "reference"]
Shape = dict[str, Any]

PERIOD: Final[Shape] = {"start": "date", "end": "date"}
RANGE: Final[Shape] = {"low": "quantity", "high": "quantity"}
RATIO: Final[Shape] = {"numerator": "quantity", "denominator": "quantity"}
TIMING: Final[Shape] = {
    "repeat": {
        "boundsDuration": "quantity", "count": "number", "duration": "number", "durationUnit": "code", "frequency": "number",
        "frequencyMax": "number", "period": "number", "periodMax": "number", "periodUnit": "code", "when": "code",
    },
    "code": "concept",
}  # fmt: skip
DOSAGE: Final[Shape] = {
    "timing": TIMING,
    "asNeededBoolean": "flag",
    "route": "concept",
    "site": "concept",
    "doseAndRate": {"type": "concept", "doseQuantity": "quantity", "doseRange": RANGE, "rateQuantity": "quantity"},
}
_VALUE: Final[Shape] = {
    "valueQuantity": "quantity", "valueCodeableConcept": "concept", "valueBoolean": "flag", "valueInteger": "number",
    "valueRange": RANGE, "valueRatio": RATIO, "dataAbsentReason": "concept", "interpretation": "concept",
    "referenceRange": {**RANGE, "type": "concept", "appliesTo": "concept"},
}  # fmt: skip
_LINKS: Final[Shape] = {"encounter": "reference", "basedOn": "reference"}
_REASON: Final[Shape] = {"reasonReference": "reference"}
_MONEY: Final[Shape] = {"value": "number", "currency": "code"}

SHAPES: Final[dict[str, Shape]] = {
    "Patient": {
        "active": "flag", "gender": "code", "deceasedBoolean": "flag", "deceasedDateTime": "date",
        "maritalStatus": "concept", "multipleBirthBoolean": "flag",
    },
    "AllergyIntolerance": {
        "clinicalStatus": "concept", "verificationStatus": "concept", "type": "code", "category": "code",
        "criticality": "code", "code": "concept", "patient": "reference", "encounter": "reference",
        "onsetDateTime": "date", "onsetAge": "age", "recordedDate": "date", "lastOccurrence": "date",
        "reaction": {
            "substance": "concept", "manifestation": "concept", "onset": "date", "severity": "code",
            "exposureRoute": "concept",
        },
    },
    "Condition": {
        "clinicalStatus": "concept", "verificationStatus": "concept", "category": "concept", "severity": "concept",
        "code": "concept", "bodySite": "concept", "subject": "reference", "encounter": "reference",
        "onsetDateTime": "date", "onsetPeriod": PERIOD, "onsetAge": "age", "abatementDateTime": "date",
        "abatementPeriod": PERIOD, "abatementAge": "age", "recordedDate": "date",
        "stage": {"summary": "concept", "type": "concept"},
    },
    "DiagnosticReport": {
        **_LINKS, "status": "code", "category": "concept", "code": "concept", "subject": "reference",
        "effectiveDateTime": "date", "effectivePeriod": PERIOD, "issued": "date", "specimen": "reference",
        "result": "reference", "conclusionCode": "concept",
    },
    "Encounter": {
        "status": "code", "class": "coding", "type": "concept", "serviceType": "concept", "priority": "concept",
        "subject": "reference", "period": PERIOD, "length": "quantity", "reasonCode": "concept",
        "diagnosis": {"condition": "reference", "use": "concept", "rank": "number"},
        "hospitalization": {"admitSource": "concept", "dischargeDisposition": "concept"},
    },
    "FamilyMemberHistory": {
        "status": "code", "patient": "reference", "date": "date", "relationship": "concept", "sex": "concept",
        "deceasedBoolean": "flag", "condition": {"code": "concept", "outcome": "concept", "onsetAge": "age"},
    },
    "Immunization": {
        "status": "code", "vaccineCode": "concept", "patient": "reference", "encounter": "reference",
        "occurrenceDateTime": "date", "primarySource": "flag", "site": "concept", "route": "concept",
        "doseQuantity": "quantity",
        "protocolApplied": {"targetDisease": "concept", "doseNumberPositiveInt": "number", "seriesDosesPositiveInt": "number"},
    },
    "MedicationDispense": {
        "status": "code", "category": "concept", "medicationCodeableConcept": "concept", "subject": "reference",
        "context": "reference", "authorizingPrescription": "reference", "type": "concept", "quantity": "quantity",
        "daysSupply": "quantity", "whenPrepared": "date", "whenHandedOver": "date", "dosageInstruction": DOSAGE,
        "substitution": {"wasSubstituted": "flag", "type": "concept", "reason": "concept"},
    },
    "MedicationRequest": {
        **_LINKS, **_REASON, "status": "code", "statusReason": "concept", "intent": "code", "category": "concept", "priority": "code",
        "medicationCodeableConcept": "concept", "subject": "reference", "authoredOn": "date", "reasonCode": "concept",
        "courseOfTherapyType": "concept", "dosageInstruction": DOSAGE,
        "dispenseRequest": {
            "validityPeriod": PERIOD, "numberOfRepeatsAllowed": "number", "quantity": "quantity",
            "expectedSupplyDuration": "quantity",
        },
        "substitution": {"allowedBoolean": "flag", "allowedCodeableConcept": "concept", "reason": "concept"},
    },
    "MedicationStatement": {
        **_REASON, "basedOn": "reference", "status": "code", "category": "concept", "medicationCodeableConcept": "concept",
        "subject": "reference", "context": "reference", "effectiveDateTime": "date", "effectivePeriod": PERIOD,
        "dateAsserted": "date", "reasonCode": "concept", "dosage": DOSAGE,
    },
    "Observation": {
        **_LINKS, **_VALUE, "status": "code", "category": "concept", "code": "concept", "subject": "reference",
        "effectiveDateTime": "date", "effectivePeriod": PERIOD, "issued": "date", "bodySite": "concept",
        "method": "concept", "specimen": "reference", "hasMember": "reference", "derivedFrom": "reference",
        "component": {**_VALUE, "code": "concept"},
    },
    "Procedure": {
        **_LINKS, **_REASON, "status": "code", "category": "concept", "code": "concept", "subject": "reference",
        "performedDateTime": "date", "performedPeriod": PERIOD, "reasonCode": "concept", "bodySite": "concept",
        "outcome": "concept", "complication": "concept",
    },
    "ServiceRequest": {
        **_LINKS, **_REASON, "status": "code", "intent": "code", "category": "concept", "priority": "code", "code": "concept",
        "subject": "reference", "occurrenceDateTime": "date", "occurrencePeriod": PERIOD, "authoredOn": "date",
        "reasonCode": "concept", "specimen": "reference", "bodySite": "concept",
    },
    "Specimen": {
        "status": "code", "type": "concept", "subject": "reference", "receivedTime": "date", "request": "reference",
        "collection": {"collectedDateTime": "date", "method": "concept", "bodySite": "concept", "quantity": "quantity"},
    },
    "ExplanationOfBenefit": {
        "status": "code", "type": "concept", "use": "code", "patient": "reference", "billablePeriod": PERIOD,
        "created": "date", "outcome": "code",
        "total": {"category": "concept", "amount": _MONEY},
    },
}  # fmt: skip
TYPES: Final = tuple(SHAPES)
