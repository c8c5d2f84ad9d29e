"""What is asked and agreed when somebody first meets the care network: tobacco, family history, consent."""

from ..calendars import YEAR
from ..fhir import observations as o
from ..fhir.people import write_consent, write_family_history
from .modules import module_run
from .record import Life, Visit

_NEVER, _CURRENT = (
    o.concept_value("LA18978-9", "Never smoker", "هرگز مصرف نکرده"),
    o.concept_value("LA18976-3", "Current every day smoker", "مصرف روزانه"),
)
_FORMER = o.concept_value("LA15920-4", "Former smoker", "ترک‌کرده")
_DISEASES = ("I10", "E11.9", "I25.1", "C50.9", "C16.9", "I63.9", "J45.9", "D56.3")


def first_contact(life: Life, visit: Visit) -> None:
    """Ask and note, once in the written history."""
    life.known = True
    run = module_run(life, "background")
    age = (visit.day - life.birth) / YEAR
    if run.u() < 0.93:
        write_consent(run, visit, run.u() < 0.04)
    if age >= 15:
        text, id_ = run.new_id()
        life.out.append(("Observation", text, b"".join((
            o.HEAD, id_, o.TOBACCO, visit.context, b'"effectiveDateTime":"', visit.start, b'","issued":"', visit.start, b'",',
            _CURRENT if "smoker" in life.flags else _FORMER if "former_smoker" in life.flags else _NEVER, b"}",
        ))))  # fmt: skip
    if age >= 18 and run.u() < 0.35:
        mother = run.u() < 0.5
        disease = _DISEASES[min(7, int((run.u() ** 1.6) * 8))]
        write_family_history(run, visit, mother, disease, 35 + int(run.u() * 40), run.u() < 0.3)
