"""Page of the EHR launch simulator, on every App: practitioner, patient, encounter, fault."""

from __future__ import annotations

from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries
from portal.apps.guards import app_for
from portal.apps.models import App
from portal.kernel.errors import NotFound
from portal.oauth import launches
from portal.oauth.clients import ClientRecord
from portal.oauth.interaction_pages import Persons, Server
from portal.oauth.people import People
from portal.oauth.service import OAuth
from portal.users.dependencies import CurrentUser
from portal.users.guards import signed_in
from portal.web.dependencies import AnyRequest, Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page

NAVIGATION = (NavItem("app", "/apps/{id}/launch", "شبیه‌ساز اجرا", "Launch simulator", position=70, icon="rocket"),)


async def _context(
    session: AsyncSession, oauth: OAuth, people: People, app: App, form: Form, search: str
) -> tuple[ClientRecord, dict[str, Any]]:
    presence = await queries.presence(session, app.id, "sandbox")
    client = await oauth.clients.get(presence.client_id) if presence else None
    if client is None:
        raise NotFound
    patients = await people.search("sandbox", client.tenant, "Patient", search)
    chosen = form["patient"]
    encounters = await people.encounters("sandbox", client.tenant, chosen) if chosen else []
    origins = sorted(client.origins)
    return client, {
        "app": app,
        "client": client,
        "form": form,
        "search": search,
        "practitioners": await people.search("sandbox", client.tenant, "Practitioner"),
        "patients": patients,
        "encounters": encounters,
        "faults": launches.FAULTS,
        "suggested": f"{origins[0]}/launch" if origins else "",
        "target": "",
    }


@get("/apps/{app_id:str}/launch")
async def simulator(
    app_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, oauth: Server, people: Persons
) -> Template:
    """The form; `name` narrows the patients, `patient` lists that patient's encounters."""
    app, company, _ = await app_for(session, user_id=user.id, app_id=app_id)
    form = Form({name: value[:500] for name, value in request.query_params.items()})
    _, context = await _context(session, oauth, people, app, form, form["name"][:60])
    return page("oauth/launch.html", company=company, **context)


@post("/apps/{app_id:str}/launch", opt={"throttle": "60/minute"})
async def prepare(
    app_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    oauth: Server,
    people: Persons,
) -> Template:
    """Prepare the launch and show its URL."""
    app, company, _ = await app_for(session, user_id=user.id, app_id=app_id)
    form = await read_form(request)
    client, context = await _context(session, oauth, people, app, form, "")
    practitioner = await people.find("sandbox", client.tenant, form["practitioner"])
    patient = await people.find("sandbox", client.tenant, f"Patient/{form['patient']}") if form["patient"] else None
    if practitioner is None or (form["patient"] and patient is None):
        raise NotFound
    known = {each.id for each in context["encounters"]}
    if form["encounter"] and form["encounter"] not in known:
        raise NotFound
    try:
        context["target"] = await launches.prepare(
            session,
            client=client,
            user=practitioner,
            patient=patient,
            encounter=form["encounter"],
            fault=form["fault"],
            launch_url=form["launch_url"],
            fhir_base=oauth.tokens.audience("sandbox"),
            now=now,
        )
    except REFUSALS as error:
        context["form"] = form.refused(error)
        return page("oauth/launch.html", status=422, company=company, **context)
    return page("oauth/launch.html", company=company, **context)


GUARDS = (signed_in,)
HANDLERS = (simulator, prepare)
