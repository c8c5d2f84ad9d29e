"""Patient, Coverage and RelatedPerson: the administrative side of a person."""

from typing import Any

from ..calendars import ISO
from ..person import Identity
from . import systems
from .fragments import Resource, concept, reference, resource, v3
from .infrastructure import human_name


def patient(who: Identity, death: int, mother_code: str | None) -> Resource:
    """The Patient; `death` is a day number or 0; `mother_code` is the id of the mother's Patient, if she has one."""
    home, member = who.home, who.member
    body: dict[str, Any] = {
        "identifier": [{"use": "official", "system": systems.NATIONAL_CODE, "value": who.national_code}],
        "active": not death,
        "name": human_name(who.given, who.family),
        "telecom": [
            {"system": "phone", "value": who.mobile, "use": "mobile"},
            {"system": "phone", "value": home.phone, "use": "home"},
        ],
        "gender": "female" if member.female else "male",
        "birthDate": ISO[member.birth].decode(),
    }  # fmt: skip
    if death:
        body["deceasedDateTime"] = ISO[death].decode()
    body["address"] = [{
        "use": "home", "type": "physical", "text": f"{home.city.province.name_fa}، {home.city.name_fa}، {home.line}",
        "line": [home.line], "city": home.city.name_fa, "state": home.city.province.name_fa,
        "postalCode": home.postal, "country": "IR",
    }]  # fmt: skip
    married = member.married
    status = ("M", "Married", "متأهل") if married else ("S", "Never Married", "مجرد")
    body["maritalStatus"] = concept([v3("v3-MaritalStatus", status[0], status[1])], status[2])
    body["communication"] = [{
        "language": concept([{"system": systems.LANGUAGE, "code": "fa", "display": "Persian"}], "فارسی"),
        "preferred": True,
    }]  # fmt: skip
    clinic = home.network.practitioners["general_practice"][0].facility
    body["managingOrganization"] = reference("Organization", clinic.id)
    if mother_code:
        body["link"] = [{"other": reference("RelatedPerson", f"{who.code}-mother"), "type": "seealso"}]
    return resource("Patient", who.code, body)
