"""What is asked for: the PopulationSpec. The same spec gives the same bytes, on any machine and any number of
workers."""

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any

from .calendars import FIRST_YEAR, LAST_YEAR
from .errors import SpecError
from .world.payers import payer_by_code
from .world.places import find_province

DEFAULT_SIZE = 200
DEFAULT_HISTORY = 3
MAX_SIZE = 5_000_000
# The default day the population is seen on. A constant: the same command gives the same bytes on any day.
DEFAULT_AS_OF = date(2026, 9, 23)
IMPERFECTIONS = (
    "duplicate_patient", "arabic_letters", "missing_field", "swapped_fields", "late_result", "wrong_unit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whom to include: every condition must hold. Ages are completed years on `as_of`, both ends included."""

    sex: str | None = None
    min_age: int = 0
    max_age: int = 110
    stories: tuple[str, ...] = ()
    payer: str | None = None

    def __post_init__(self) -> None:
        if self.sex not in (None, "female", "male"):
            raise SpecError(f"cohort sex must be female or male, not {self.sex!r}")
        if not 0 <= self.min_age <= self.max_age <= 110:
            raise SpecError(f"cohort ages must satisfy 0 <= min <= max <= 110, not {self.min_age}..{self.max_age}")
        if self.payer is not None and self.payer not in payer_by_code():
            raise SpecError(f"unknown insurer {self.payer!r}: choose among {', '.join(payer_by_code())}")
        if len(set(self.stories)) != len(self.stories):
            raise SpecError("a cohort names a story twice")


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """A population, fully described.

    size: people, those who died within the history included. seed: any integer. as_of: the day they are seen on.
    history_years: how far back routine care is written out; births, diagnoses, vaccinations and operations are
    written for the whole life. region: ISO 3166-2 province codes or names, empty for the country. stories: ids of
    clinical stories, None for all. evolve_months: live on after as_of;
    those born meanwhile come on top of the size. changes_since: write only what is new or changed since so many months after
    as_of. first: leave out so many people at the
    beginning (to extend a population, ask for the larger size and skip what exists). cohort: only people like this.
    imperfections: share of each labelled defect. identifiers: "A" (provably nobody's) or "B". surnames: "curated" or
    "coined".
    """

    size: int = DEFAULT_SIZE
    seed: int = 1
    as_of: date = DEFAULT_AS_OF
    region: tuple[str, ...] = ()
    history_years: int = DEFAULT_HISTORY
    stories: tuple[str, ...] | None = None
    evolve_months: int = 0
    changes_since: int | None = None
    first: int = 0
    cohort: Cohort | None = None
    imperfections: dict[str, float] = field(default_factory=dict)
    identifiers: str = "A"
    surnames: str = "curated"

    def __post_init__(self) -> None:
        self._check_numbers()
        codes = tuple(dict.fromkeys(find_province(name).code for name in self.region))
        object.__setattr__(self, "region", codes)
        if self.identifiers not in ("A", "B"):
            raise SpecError(f"identifiers must be A or B, not {self.identifiers!r}")
        if self.surnames not in ("curated", "coined"):
            raise SpecError(f"surnames must be curated or coined, not {self.surnames!r}")
        for name, share in self.imperfections.items():
            if name not in IMPERFECTIONS:
                raise SpecError(f"unknown imperfection {name!r}: choose among {', '.join(IMPERFECTIONS)}")
            if not 0 <= share <= 1:
                raise SpecError(f"the share of {name} must be between 0 and 1, not {share}")

    def _check_numbers(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
            raise SpecError(f"size must be between 1 and {MAX_SIZE:,} people, not {self.size}")
        if not 0 <= self.first < self.size:
            raise SpecError(f"first must be at least 0 and below the size {self.size}, not {self.first}")
        if not -(2**63) <= self.seed < 2**63:
            raise SpecError("seed must fit in 64 bits")
        if not 1990 <= self.as_of.year <= LAST_YEAR - 20:
            raise SpecError(f"as_of must lie between 1990 and {LAST_YEAR - 20}, not {self.as_of}")
        if not 1 <= self.history_years <= 90 or self.as_of.year - self.history_years < FIRST_YEAR + 1:
            raise SpecError(f"history_years must be between 1 and 90 and start after {FIRST_YEAR}")
        if not 0 <= self.evolve_months <= 120:
            raise SpecError(f"evolve_months must be between 0 and 120, not {self.evolve_months}")
        if self.changes_since is not None and not 0 <= self.changes_since < self.evolve_months:
            raise SpecError(
                f"changes_since must lie between 0 and the {self.evolve_months} months lived on, not {self.changes_since}"
            )

    def with_(self, **changes: Any) -> "PopulationSpec":
        """A copy with some fields changed, checked again."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for the manifest."""
        made = asdict(self)
        made["as_of"] = self.as_of.isoformat()
        return made

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "PopulationSpec":
        """The spec written by `to_dict`; raises SpecError on a field that does not exist or has the wrong shape."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise SpecError(f"unknown field of a population spec: {', '.join(unknown)}")
        made = dict(value)
        try:
            made["as_of"] = date.fromisoformat(made.get("as_of", DEFAULT_AS_OF.isoformat()))
            made["region"] = tuple(made.get("region", ()))
            made["stories"] = None if made.get("stories") is None else tuple(made["stories"])
            if made.get("cohort") is not None:
                cohort = dict(made["cohort"])
                cohort["stories"] = tuple(cohort.get("stories", ()))
                made["cohort"] = Cohort(**cohort)
            return cls(**made)
        except (TypeError, ValueError) as error:
            raise SpecError(f"a field of the population spec has the wrong shape: {error}") from error
