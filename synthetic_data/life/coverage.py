"""Insurance over a life: periods that follow each other, sometimes at another insurer."""

from ..calendars import ISO, YEAR
from ..fhir import systems
from ..fhir.fragments import META, concept, encode, reference, v3
from ..fhir.infrastructure import payer_id
from ..world.payers import Payer
from .record import FOREVER, Life


class Period:
    """A Coverage in force from `start` to `end`, both included."""

    __slots__ = ("end", "id", "payer", "start", "text")

    def __init__(self, text: str, payer: Payer, start: int, end: int) -> None:
        self.text, self.id, self.payer, self.start, self.end = text, text.encode(), payer, start, end


_TYPE = encode(concept([v3("v3-ActCode", "PUBLICPOL", "public healthcare")], "بیمهٔ پایهٔ سلامت"))
_SELF = encode(concept([v3("subscriber-relationship", "self", "Self")], "اصلی"))
_CHILD = encode(concept([v3("subscriber-relationship", "child", "Child")], "تبعی"))


def cover(life: Life) -> None:
    """Write the coverage periods from the beginning of the history, or from birth, on."""
    first = max(life.birth, life.window)
    spans = life.who.payers
    child = life.window - life.birth < 18 * YEAR
    for number, (since, payer) in enumerate(spans):
        end = spans[number + 1][0] - 1 if number + 1 < len(spans) else FOREVER
        start = max(since, first)
        if payer.code != "NONE" and start <= min(end, life.death):
            period = Period(f"{life.who.code}-cov{number + 1}", payer, start, end)
            life.coverages.append(period)
            _write(life, period, child)
    life.insured = bool(life.coverages)


def _write(life: Life, period: Period, child: bool) -> None:
    payer = period.payer
    end = min(period.end, life.death)
    over = end < life.until
    closing = b'","end":"' + ISO[end] if over else b""
    parts = (
        b'{"resourceType":"Coverage","id":"', period.id, b'",', META,
        b',"identifier":[{"system":"', systems.INSURANCE_NUMBER.encode(), b'","value":"SBX-', period.id, b'"}],"status":"',
        b"cancelled" if over else b"active", b'","type":', _TYPE,
        b',"beneficiary":{"reference":"Patient/', life.pid, b'"},"relationship":', _CHILD if child else _SELF,
        b',"period":{"start":"', ISO[period.start], closing,
        b'"},"payor":[', encode(reference("Organization", payer_id(payer.code))),
        b'],"class":[{"type":', encode(concept([v3("coverage-class", "plan", "Plan")], "صندوق بیمه")), b',"value":"', payer.code.encode(),
        b'","name":', encode(payer.name_fa), b"}]}",
    )  # fmt: skip
    life.out.append(("Coverage", period.text, b"".join(parts)))
