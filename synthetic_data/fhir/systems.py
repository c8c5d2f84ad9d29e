"""Every URL of a code or identifier system, in one place.

The national systems have no published canonical URLs; the ones under NATIONAL are the product's own, so that a real
profile can replace them by changing this module alone. Terminology licences are named in
`docs/*/reference/terminology.md`.
"""

NATIONAL = "https://gozar.example/fhir"

NATIONAL_CODE = f"{NATIONAL}/sid/national-code"  # کد ملی, sandbox values only
LEGAL_ENTITY_ID = f"{NATIONAL}/sid/legal-entity-id"  # شناسهٔ ملی اشخاص حقوقی, sandbox values only
MEDICAL_COUNCIL = f"{NATIONAL}/sid/medical-council-number"
RECORD_NUMBER = f"{NATIONAL}/sid/medical-record-number"
INSURANCE_NUMBER = f"{NATIONAL}/sid/insurance-number"
PRESCRIPTION = f"{NATIONAL}/sid/prescription"
CLAIM_NUMBER = f"{NATIONAL}/sid/claim"
DRUG = f"{NATIONAL}/CodeSystem/drug"  # fictitious generic codes, until the operator supplies the national list
SERVICE = f"{NATIONAL}/CodeSystem/service"  # procedures, studies, visits: the product's own codes
SPECIALTY = f"{NATIONAL}/CodeSystem/specialty"
FACILITY = f"{NATIONAL}/CodeSystem/facility-type"
PAYER = f"{NATIONAL}/CodeSystem/payer"
INTERVIEW = f"{NATIONAL}/CodeSystem/interview"
SUBSTANCE = f"{NATIONAL}/CodeSystem/substance"
IMPERFECTION = f"{NATIONAL}/CodeSystem/imperfection"
SPECIMEN = f"{NATIONAL}/CodeSystem/specimen"
DOCUMENT = f"{NATIONAL}/CodeSystem/document"
PLAN = f"{NATIONAL}/CodeSystem/care-plan"

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
CVX = "http://hl7.org/fhir/sid/cvx"
ATC = "http://www.whocc.no/atc"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
CURRENCY = "urn:iso:std:iso:4217"
LANGUAGE = "urn:ietf:bcp:47"
REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"

HTEST = {"system": f"{TERMINOLOGY}/v3-ActReason", "code": "HTEST", "display": "test health data"}
HTEST_META = {"security": [HTEST]}
