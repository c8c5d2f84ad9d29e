"""The EHR launch simulator: prepares a launch as a record system would, and plays the faults an App must survive."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import Invalid
from portal.kernel.ids import new_id
from portal.oauth import opaque
from portal.oauth.clients import ClientRecord
from portal.oauth.interactions import Person
from portal.oauth.models import Launch

LIFETIME = timedelta(minutes=10)
# Name -> what happens, in Persian and English.
FAULTS: dict[str, tuple[str, str]] = {
    "": ("بدون خطا", "No fault"),
    "unknown_launch": ("شناسهٔ اجرا دیگر معتبر نیست", "The launch is no longer known"),
    "denied": ("کاربر اجازه نمی‌دهد", "The user does not agree"),
    "expired_code": ("کد هنگام مبادله منقضی شده است", "The code has expired when it is redeemed"),
    "wrong_state": ("مقدار state تغییر کرده است (حملهٔ CSRF)", "state comes back altered (a CSRF attack)"),
    "wrong_issuer": ("مقدار iss از صادرکنندهٔ دیگری است (حملهٔ mix-up)", "iss names another issuer (a mix-up attack)"),
    "no_patient": ("پاسخ توکن بیمار ندارد", "The token response names no patient"),
}


class UnusableLaunchUrl(Invalid):
    code = "launch-url"
    title = "The launch URL must be on the same origin as one of the App's redirect URIs"
    title_fa = "نشانی اجرا باید هم‌مبدأ با یکی از نشانی‌های بازگشت برنامه باشد"


def checked_url(client: ClientRecord, launch_url: str) -> str:
    """A launch URL the simulator may open; raises `UnusableLaunchUrl`."""
    plain = all(32 < ord(letter) < 127 for letter in launch_url) and "\\" not in launch_url and "#" not in launch_url
    try:
        parts = urlsplit(launch_url)
    except ValueError as error:
        raise UnusableLaunchUrl(field="launch_url") from error
    origin = f"{parts.scheme}://{parts.netloc}"
    if not plain or len(launch_url) > 500 or origin not in client.origins:
        raise UnusableLaunchUrl(field="launch_url")
    return launch_url


async def prepare(
    session: AsyncSession,
    *,
    client: ClientRecord,
    user: Person,
    patient: Person | None,
    encounter: str,
    fault: str,
    launch_url: str,
    fhir_base: str,
    now: datetime,
) -> str:
    """Keep a launch for ten minutes; returns the URL that the record system would open. Raises `Invalid`."""
    place = checked_url(client, launch_url)
    if fault not in FAULTS:
        raise Invalid("There is no such fault", fa="چنین خطایی در فهرست نیست", field="fault")
    if encounter and patient is None:
        raise Invalid("An encounter needs its patient", fa="برای انتخاب مراجعه، بیمار را هم برگزینید", field="patient")
    handle = opaque.new_token(opaque.LAUNCH)
    session.add(
        Launch(
            id=new_id("lch"),
            token_hash=opaque.digest(handle),
            environment=client.environment,
            client_id=client.client_id,
            user=user.reference,
            user_name=user.name[:160],
            patient=patient.id if patient else "",
            encounter=encounter,
            fault=fault,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    await session.flush()
    query = urlencode({"iss": fhir_base, "launch": handle})
    return f"{place}{'&' if urlsplit(place).query else '?'}{query}"
