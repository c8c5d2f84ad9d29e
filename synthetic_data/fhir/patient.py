"""Patient. http://hl7.org/fhir/R4/patient.html"""

from functools import cache
from typing import Any

import orjson

from ..calendars import ISO
from ..households import MAN, WOMAN
from ..person import Family, Home, Identity
from . import systems
from .family import relative_id, relatives
from .fragments import META, Resource, concept, encode, reference, v3
from .infrastructure import human_name

_STATUS = {
    "M": encode(concept([v3("v3-MaritalStatus", "M", "Married")], "متأهل")),
    "S": encode(concept([v3("v3-MaritalStatus", "S", "Never Married")], "مجرد")),
    "W": encode(concept([v3("v3-MaritalStatus", "W", "Widowed")], "همسر درگذشته")),
}
_PERSIAN = encode(
    [
        {
            "language": concept([{"system": systems.LANGUAGE, "code": "fa", "display": "Persian"}], "فارسی"),
            "preferred": True,
        }
    ]
)


def address(home: Home, since: int, until: int) -> dict[str, Any]:
    """A home; `until` is the day before the next move, or 0 when it is the present one."""
    period = {"start": ISO[since].decode()} if since else {}
    if until:
        period["end"] = ISO[until].decode()
    made: dict[str, Any] = {
        "use": "old" if until else "home", "type": "physical",
        "text": f"{home.city.province.name_fa}، {home.city.name_fa}، {home.line}",
        "line": [home.line], "city": home.city.name_fa, "state": home.city.province.name_fa,
        "postalCode": home.postal, "country": "IR",
    }  # fmt: skip
    return {**made, "period": period} if period else made


def addresses(homes: tuple[Home, ...], birth: int, last: int) -> bytes:
    """The present home first, then those before it; homes the person never lived in are left out."""
    lived = [
        home
        for number, home in enumerate(homes)
        if home.since < last and (number + 1 >= len(homes) or homes[number + 1].since > birth)
    ]
    made = []
    for number, home in enumerate(lived):
        end = lived[number + 1].since - 1 if number + 1 < len(lived) else 0
        made.append(address(home, max(home.since, birth) if home.since else 0, end))
    return encode(made[::-1])


@cache
def _clinic(identifier: str) -> bytes:
    return b',"managingOrganization":' + encode(reference("Organization", identifier))


def _marital(who: Identity, family: Family, until: int) -> bytes:
    member = who.member
    if member.slot in (WOMAN, MAN):
        return _STATUS["M" if member.married else "S" if until - member.birth < 14_600 else "W"]
    return _STATUS["M" if member.married else "S"]


def patient(who: Identity, family: Family, death: int, until: int) -> Resource:
    """The Patient; `death` is a day number or 0, `until` the first day that is not seen."""
    member = who.member
    last = death or until
    homes = [home for home in who.homes if home.since < last]
    parts = [
        b'{"resourceType":"Patient","id":"', who.code.encode(), b'",', META,
        b',"identifier":[{"use":"official","system":"', systems.NATIONAL_CODE.encode(), b'","value":"', who.national_code.encode(),
        b'"}],"active":', b"false" if death else b"true", b',"name":', orjson.dumps(human_name(who.given, who.family)),
        b',"telecom":[{"system":"phone","value":"', who.mobile.encode(), b'","use":"mobile"},{"system":"phone","value":"',
        homes[-1].phone.encode(), b'","use":"home"}],"gender":"', b"female" if member.female else b"male",
        b'","birthDate":"', ISO[member.birth], b'"',
    ]  # fmt: skip
    if death:
        parts += (b',"deceasedDateTime":"', ISO[death], b'"')
    parts += (
        b',"address":', addresses(who.homes, member.birth, last), b',"maritalStatus":', _marital(who, family, until),
        b',"communication":', _PERSIAN,
        _clinic(homes[-1].network.practitioners["general_practice"][0].facility.id),
    )  # fmt: skip
    links = [
        b'{"other":{"reference":"RelatedPerson/' + relative_id(who, role) + b'"},"type":"seealso"}'
        for role, _ in relatives(who, family)
    ]
    if links:
        parts += (b',"link":[', b",".join(links), b"]")
    parts.append(b"}")
    return "Patient", who.code, b"".join(parts)
