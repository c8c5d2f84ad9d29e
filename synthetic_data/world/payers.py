"""Basic insurers and the share of people each covers."""

from dataclasses import dataclass
from functools import cache

from .tables import Weighted, load


@dataclass(frozen=True, slots=True)
class Payer:
    """A basic insurer. `code` NONE stands for people without one. `pays` is its share of an outpatient bill."""

    code: str
    name_fa: str
    name_en: str
    share: float
    pays: float


# The legal co-payment is 30% outpatient and 10% inpatient; the armed forces' and the well-resourced funds pay more
# (general knowledge).
_PAYS = {"AF": 0.9, "OTHER": 0.9, "IKRF": 0.95, "NONE": 0.0}


@cache
def payers() -> tuple[Payer, ...]:
    """All payers, NONE included."""
    rows = load("payers")["payers"]
    return tuple(Payer(r["code"], r["name_fa"], r["name_en"], r["share"], _PAYS.get(r["code"], 0.7)) for r in rows)


@cache
def payer_by_code() -> dict[str, Payer]:
    """Payers by code."""
    return {payer.code: payer for payer in payers()}


@cache
def payer_draw(rural: bool) -> Weighted[Payer]:
    """Payers weighted for villagers or townspeople: the rural fund covers villagers (general knowledge), the rest
    others.

    With the country's rural share of 26% the two lists add up to the published shares.
    """
    rural_share = 0.26
    rural_fund = 0.205
    weights = []
    for payer in payers():
        if payer.code == "IHIO-RURAL":
            weights.append(rural_fund / rural_share if rural else 0.0)
        else:
            others = payer.share / (1 - rural_fund)
            weights.append(others * ((1 - rural_fund / rural_share) if rural else 1.0))
    return Weighted(list(payers()), weights)
