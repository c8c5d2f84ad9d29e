"""Pages of the Tenant controls: data and clock, faults, Counterparts, timeline, notifications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries
from portal.apps.pages import app_context
from portal.apps.tenants import TenantsUnavailable
from portal.kernel.errors import Invalid, NotFound
from portal.tenants import forms
from portal.tenants.controls import Controls, ControlsPort, Part
from portal.tenants.dependencies import desk_of, sibling
from portal.tenants.service import Desk
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

SANDBOX = "/apps/{app_id:str}/sandbox"
TOPICS = (
    "appointment", "teleconsultation", "prescription", "dispense", "laboratory", "report", "referral", "consent",
    "claim", "fault", "counterpart-refused", "timer-refused",
)  # fmt: skip
ACTORS = ("app", "counterpart", "clock")

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/sandbox", "فضای آزمایشی", "Sandbox", position=40, icon="flask-conical"),
    NavItem("sandbox", "/apps/{id}/sandbox", "داده و ساعت", "Data and clock", position=10),
    NavItem("sandbox", "/apps/{id}/sandbox/faults", "خطاها", "Faults", position=20),
    NavItem("sandbox", "/apps/{id}/sandbox/counterparts", "طرف‌های مقابل", "Counterparts", position=30),
    NavItem("sandbox", "/apps/{id}/sandbox/timeline", "رویدادها", "Timeline", position=40),
    NavItem("sandbox", "/apps/{id}/sandbox/deliveries", "اعلان‌ها", "Notifications", position=50),
]


async def _context(session: AsyncSession, user_id: str, app_id: str) -> tuple[dict[str, Any], str]:
    """What every page of an App needs, and its Tenant; empty before there is one."""
    context = await app_context(session, user_id=user_id, app_id=app_id)
    place = context["places"].get("sandbox")
    return context, place.tenant if place is not None else ""


async def _parts(controls: Controls, tenant: str, *parts: Part, **query: str) -> dict[str, Any] | None:
    """Parts of a Tenant by name, None when the sandbox does not answer."""
    found: dict[str, Any] = {}
    try:
        for part in parts:
            found[part or "tenant"] = await controls.read(tenant, part, query)
    except TenantsUnavailable:
        return None
    return found


async def _show(
    name: str,
    context: dict[str, Any],
    tenant: str,
    controls: Controls,
    *parts: Part,
    form: Form | None = None,
    query: dict[str, str] | None = None,
    **more: Any,
) -> Template:
    """A page of the room, with the parts of the Tenant that it shows; `form` is the one sent back with errors."""
    found = await _parts(controls, tenant, *parts, **(query or {})) if tenant else None
    status = 422 if form is not None and form.errors else 200
    return page(
        f"tenants/{name}.html",
        status=status,
        found=found,
        tenant=tenant,
        form=form or Form(),
        blank=Form(),
        at=_instant,
        **more,
        **context,
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- data and clock ---------------------------------------------------------------------------------------------------


async def _data(
    session: AsyncSession, user_id: str, app_id: str, controls: Controls, form: Form | None = None, about: str = ""
) -> Template:
    context, tenant = await _context(session, user_id, app_id)
    siblings = [app for app in await queries.apps_of(session, user_id, context["company"].id) if app.id != app_id]
    return await _show(
        "data", context, tenant, controls, "", "snapshots", "bases", form=form, about=about, siblings=siblings
    )


@get(SANDBOX)
async def data_page(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Template:
    """The App's Tenant: its time, what it holds, snapshots."""
    return await _data(session, user.id, app_id, controls)


@get("/apps/{app_id:str}/data", sync_to_thread=False)
def old_address(app_id: FromPath[str]) -> Redirect:
    """Where the page was before."""
    return see(f"/apps/{app_id}/sandbox")


@post(f"{SANDBOX}/do/{{verb:str}}")
async def change_data(
    app_id: FromPath[str],
    verb: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    controls: ControlsPort,
    tell: TellNext,
) -> Template | Redirect:
    """clock, reset, snapshot, drop, restore or fork."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    form = await read_form(request)
    try:
        if verb == "fork":
            await desk.fork(await sibling(session, user_id=user.id, app_id=app_id, into=form["into"]))
            notice = Notice(
                "success", "داده‌های این فضا در فضای آن برنامه نشست.", "That app's data is now a copy of this."
            )
        else:
            notice = await _change(desk, verb, form)
    except REFUSALS as error:
        refused = form.refused(forms.at_field(error) if isinstance(error, Invalid) else error)
        return await _data(session, user.id, app_id, controls, refused, about=verb)
    tell(notice)
    return see(f"/apps/{app_id}/sandbox")


async def _change(desk: Desk, verb: str, form: Form) -> Notice:
    """One verb without a second App; returns what to tell. An unknown verb is NotFound."""
    match verb:
        case "clock":
            made = await desk.move_clock(forms.step(form))
            timers = made.get("timers", 0)
            return Notice(
                "success",
                f"ساعت فضا جابه‌جا شد؛ {timers} کار در راه انجام شد.",
                f"The clock moved; {timers} timers ran.",
            )
        case "reset":
            await desk.reset(base=form["base"])
            return Notice("success", "داده‌ها به حالت نخست بازگشت.", "The data is back to its first state.")
        case "snapshot":
            await desk.take_snapshot(name=form["name"])
            return Notice("success", "از وضعیت کنونی نسخه گرفته شد.", "A snapshot of the present state is kept.")
        case "drop":
            await desk.drop_snapshot(snapshot=form["snapshot"])
            return Notice("success", "نسخه پاک شد.", "The snapshot is gone.")
        case "restore":
            await desk.restore(snapshot=form["snapshot"])
            return Notice("success", "داده‌ها به آن نسخه بازگشت.", "The data is back to that snapshot.")
    raise NotFound


# --- faults -----------------------------------------------------------------------------------------------------------


async def _faults(
    session: AsyncSession, user_id: str, app_id: str, controls: Controls, form: Form | None = None
) -> Template:
    context, tenant = await _context(session, user_id, app_id)
    return await _show("faults", context, tenant, controls, "faults", form=form)


@get(f"{SANDBOX}/faults")
async def faults_page(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Template:
    """Plans of what goes wrong, and the form to add one."""
    return await _faults(session, user.id, app_id, controls)


@post(f"{SANDBOX}/faults")
async def add_fault(
    app_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    controls: ControlsPort,
    tell: TellNext,
) -> Template | Redirect:
    """Add a plan after the others; with `remove`, take that one away; with `clear`, all."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    form = await read_form(request)
    try:
        plans = (await controls.read(desk.tenant, "faults"))["faults"]
        if form["clear"]:
            plans = []
        elif form["remove"]:
            plans = [plan for plan in plans if plan["id"] != form["remove"]]
        else:
            plans = [*plans, forms.fault(form, {plan["id"] for plan in plans})]
        await desk.set_faults(plans)
    except REFUSALS as error:
        refused = form.refused(forms.at_field(error) if isinstance(error, Invalid) else error)
        return await _faults(session, user.id, app_id, controls, refused)
    tell(Notice("success", "برنامهٔ خطا ذخیره شد.", "The fault plan is saved."))
    return see(f"/apps/{app_id}/sandbox/faults")


# --- Counterparts -----------------------------------------------------------------------------------------------------


async def _scripts(
    session: AsyncSession, user_id: str, app_id: str, controls: Controls, form: Form | None = None, about: str = ""
) -> Template:
    context, tenant = await _context(session, user_id, app_id)
    return await _show(
        "counterparts", context, tenant, controls, "counterparts", form=form, about=about, as_text=_as_text
    )


def _as_text(options: object) -> str:
    return msgspec.json.encode(options).decode() if options else ""


@get(f"{SANDBOX}/counterparts")
async def scripts_page(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Template:
    """How each Counterpart answers."""
    return await _scripts(session, user.id, app_id, controls)


@post(f"{SANDBOX}/counterparts/{{name:str}}")
async def set_script(
    app_id: FromPath[str],
    name: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    controls: ControlsPort,
    tell: TellNext,
) -> Template | Redirect:
    """Change one Counterpart's script."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    if name not in (await controls.read(desk.tenant, "counterparts"))["counterparts"]:
        raise NotFound
    form = await read_form(request)
    try:
        await desk.set_scripts({name: forms.script(form)})
    except REFUSALS as error:
        refused = form.refused(forms.at_field(error) if isinstance(error, Invalid) else error)
        return await _scripts(session, user.id, app_id, controls, refused, about=name)
    tell(Notice("success", "رفتار طرف مقابل ذخیره شد.", "The counterpart's script is saved."))
    return see(f"/apps/{app_id}/sandbox/counterparts")


# --- what happened ----------------------------------------------------------------------------------------------------


@get(f"{SANDBOX}/timeline")
async def timeline_page(
    app_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, controls: ControlsPort
) -> Template:
    """Events of the Tenant, newest first."""
    context, tenant = await _context(session, user.id, app_id)
    asked = {name: request.query_params.get(name, "").strip()[:200] for name in ("topic", "actor", "subject", "before")}
    kept = {name: value for name, value in asked.items() if value and name != "before"}
    path = f"/apps/{app_id}/sandbox/timeline"

    def address(**more: object) -> str:
        query = urlencode({**kept, **more})
        return f"{path}?{query}" if query else path

    return await _show(
        "timeline",
        context,
        tenant,
        controls,
        "timeline",
        query=asked,
        wanted=asked,
        filtered=bool(kept),
        address=address,
        topics=TOPICS,
        actors=ACTORS,
    )


@get(f"{SANDBOX}/deliveries")
async def deliveries_page(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Template:
    """Notifications with their attempts."""
    context, tenant = await _context(session, user.id, app_id)
    return await _show("deliveries", context, tenant, controls, "deliveries")


routes: Sequence[Router] = pages(
    data_page,
    old_address,
    change_data,
    faults_page,
    add_fault,
    scripts_page,
    set_script,
    timeline_page,
    deliveries_page,
    guards=[signed_in],
)
