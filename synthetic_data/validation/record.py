"""One person's resources, parsed and indexed, for rules and statistics to look at."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import orjson

from ..fhir.fragments import Resource

Json = dict[str, Any]


def code_of(concept: Json | None) -> str:
    """The code of a concept's first coding, or an empty text."""
    codings = (concept or {}).get("coding") or [{}]
    return str(codings[0].get("code", ""))


def target_of(reference: Json | None) -> str:
    """The id that a relative reference points to, or an empty text."""
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


class Record:
    """A person: `of` gives the resources of a type."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.kinds: dict[str, list[Json]] = defaultdict(list)
        for kind, _, content in resources:
            self.kinds[kind].append(orjson.loads(content))

    def of(self, kind: str) -> list[Json]:
        """All resources of a type, in the order they were written."""
        return self.kinds.get(kind, [])

    @cached_property
    def patient(self) -> Json:
        """The Patient."""
        return self.kinds["Patient"][0]

    @cached_property
    def birth(self) -> str:
        """The birth date."""
        return str(self.patient.get("birthDate", ""))

    @cached_property
    def death(self) -> str:
        """The day of death, or a text that sorts after every date."""
        return str(self.patient.get("deceasedDateTime", "9999"))

    def by_id(self, kind: str) -> dict[str, Json]:
        """Resources of a type by id."""
        return {resource["id"]: resource for resource in self.of(kind)}
