"""RelatedPerson: mother and child, husband and wife, each seen from the other's record."""

from collections.abc import Iterator

import orjson

from ..calendars import ISO
from ..households import MAN, WOMAN
from ..person import Family, Identity
from . import systems
from .fragments import META, Resource, concept, encode, v3
from .infrastructure import human_name

_ROLES = {
    "mother": concept([v3("v3-RoleCode", "NMTH", "natural mother")], "مادر"),
    "father": concept([v3("v3-RoleCode", "FTH", "father")], "پدر"),
    "child": concept([v3("v3-RoleCode", "NCHILD", "natural child")], "فرزند"),
    "husband": concept([v3("v3-RoleCode", "HUSB", "husband")], "شوهر"),
    "wife": concept([v3("v3-RoleCode", "WIFE", "wife")], "همسر"),
}
_RELATIONSHIP = {role: encode([words]) for role, words in _ROLES.items()}


def relatives(who: Identity, family: Family) -> Iterator[tuple[str, Identity]]:
    """(role, person) of everybody in the household to whom this person is related; a role with a number for children."""
    slot = who.member.slot
    for other in family.people:
        if other is who:
            continue
        at = other.member.slot
        if other.member.mother == who.member.number:
            yield f"child{at - 1}", other
        elif who.member.mother == other.member.number:
            yield "mother", other
        elif who.member.mother >= 0 and at == MAN and other.member.married:
            yield "father", other
        elif who.member.married and {slot, at} == {WOMAN, MAN}:
            yield ("husband" if at == MAN else "wife"), other


def relative_id(who: Identity, role: str) -> bytes:
    """The id of a RelatedPerson in somebody's record."""
    return f"{who.code}-{role}".encode()


def related_people(who: Identity, family: Family) -> list[Resource]:
    """The RelatedPersons of a record. The identifier is the relative's own national code: it joins the two records."""
    made = []
    for role, other in relatives(who, family):
        kind = "child" if role.startswith("child") else role
        content = b"".join((
            b'{"resourceType":"RelatedPerson","id":"', relative_id(who, role), b'",', META,
            b',"identifier":[{"system":"', systems.NATIONAL_CODE.encode(), b'","value":"', other.national_code.encode(),
            b'"}],"active":true,"patient":{"reference":"Patient/', who.code.encode(), b'"},"relationship":', _RELATIONSHIP[kind],
            b',"name":', orjson.dumps(human_name(other.given, other.family)),
            b',"telecom":[{"system":"phone","value":"', other.mobile.encode(), b'","use":"mobile"}],"gender":"',
            b"female" if other.female else b"male", b'","birthDate":"', ISO[other.member.birth], b'"}',
        ))  # fmt: skip
        made.append(("RelatedPerson", f"{who.code}-{role}", content))
    return made
