"""Pages of an authorization: sign in as a persona, choose the patient, agree or refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from litestar import get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import Invalid, NotFound
from portal.oauth import interactions, wording
from portal.oauth.clients import ClientRecord
from portal.oauth.interactions import Ended, Person
from portal.oauth.models import CitizenSignIn, Interaction, Launch
from portal.oauth.people import People
from portal.oauth.service import ENVIRONMENTS, OAuth
from portal.web.csrf import cookie_name
from portal.web.dependencies import AnyRequest, Db, Now, ShellValues
from portal.web.forms import Form, read_form
from portal.web.headers import POLICY
from portal.web.pages import page, see
from portal.web.shell import Shell

Server = NamedDependency[SkipValidation[OAuth]]
Persons = NamedDependency[SkipValidation[People]]


class SignInUnavailable(NotFound):
    code = "sign-in-unavailable"
    title = "Signing in is not set up for this Environment"
    title_fa = "ورود شهروندان برای این محیط راه‌اندازی نشده است"


def sign_in_cookie(shell: Shell, environment: str, token: str) -> Cookie:
    """The cookie of a person signed in at one Environment's authorization server; ends with the browser."""
    return Cookie(
        key=cookie_name(shell, f"gozar_citizen_{environment}"),
        value=token,
        path="/",
        httponly=True,
        samesite="lax",
        secure=shell.secure,
        max_age=None if token else 0,
    )


async def who(
    request: AnyRequest, session: AsyncSession, shell: Shell, environment: str, tenant: str | None, now: datetime
) -> CitizenSignIn | None:
    """The person signed in with this browser, in this Environment and Tenant."""
    token = request.cookies.get(cookie_name(shell, f"gozar_citizen_{environment}"), "")
    if not token:
        return None
    return await interactions.signed_in(session, token=token, environment=environment, tenant=tenant, now=now)


def returning_policy(redirect_uri: str) -> str:
    """The content security policy of a page whose form ends at the App: browsers apply `form-action` to redirects too."""
    parts = urlsplit(redirect_uri)
    place = f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
    return POLICY.replace("form-action 'self'", f"form-action 'self' {place}")


def private(template: Template, redirect_uri: str) -> Template:
    """A page of an authorization: its address stays here, and its form may lead back to the App."""
    template.headers["Referrer-Policy"] = "no-referrer"
    template.headers["Content-Security-Policy"] = returning_policy(redirect_uri)
    return template


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser at an open authorization: the App that asks, the launch it came from, and who is signed in, if anybody."""

    interaction: Interaction
    client: ClientRecord
    launch: Launch | None
    person: CitizenSignIn | None


async def visit(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    oauth: Server,
) -> Visit:
    """Dependency of every page of an authorization; raises `Ended` where there is none to go on with.

    A launch has its own person, and an App may have asked for a fresh sign-in: any other counts as none.
    """
    interaction, client, launch = await opened(session, oauth, environment, handle, now)
    person = await who(request, session, shell, environment, client.tenant, now)
    if person is not None:
        foreign = launch is not None and person.reference != launch.user
        stale = interaction.fresh_from is not None and person.created_at < interaction.fresh_from
        if foreign or stale:
            person = None
    return Visit(interaction, client, launch, person)


Visited = NamedDependency[SkipValidation[Visit]]


async def opened(
    session: AsyncSession, oauth: OAuth, environment: str, handle: str, now: datetime
) -> tuple[Interaction, ClientRecord, Launch | None]:
    """The open interaction behind a handle, its App, and the launch it came from; raises `Ended`."""
    if environment not in ENVIRONMENTS:
        raise NotFound
    interaction = await interactions.current(session, handle=handle, environment=environment, now=now)
    client = await oauth.clients.get(interaction.client_id)
    if client is None or not client.admitted:
        raise Ended
    launch = await session.get(Launch, interaction.launch_id) if interaction.launch_id else None
    return interaction, client, launch


def place_of(environment: str, handle: str) -> str:
    """Path of an interaction's page."""
    return f"/{environment}/oauth/interaction/{handle}"


@get("/{environment:str}/oauth/interaction/{handle:str}")
async def continue_page(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    oauth: Server,
    people: Persons,
    visit: Visited,
) -> Template:
    """Whatever the authorization waits for: a sign-in, a patient, a decision."""
    interaction, client, person = visit.interaction, visit.client, visit.person
    search = request.query_params.get("name", "")[:60]
    context: dict[str, Any] = {
        "place": place_of(environment, handle),
        "environment": environment,
        "client": client,
        "search": search,
        "form": Form(),
    }
    if person is None:
        return private(await _sign_in(context, oauth, people, visit.launch, request), interaction.redirect_uri)
    if request.query_params.get("step") == "patient" or await _patient_missing(session, interaction, person):
        found = await people.search(environment, client.tenant, "Patient", search)
        context |= {"people": found, "person": person}
        return private(page("oauth/patient.html", **context), interaction.redirect_uri)
    return private(await _consent(context, interaction, person, people), interaction.redirect_uri)


async def _sign_in(
    context: dict[str, Any], oauth: OAuth, people: People, launch: Launch | None, request: AnyRequest
) -> Template:
    environment, tenant = context["environment"], context["client"].tenant
    if environment in oauth.identity:
        return page("oauth/identity.html", **context)
    if environment not in oauth.personas:
        raise SignInUnavailable
    kind = "Practitioner" if request.query_params.get("kind") == "practitioner" else "Patient"
    if launch is not None:
        expected = Person(launch.user, launch.user_name)
        return page("oauth/sign_in.html", **context, kind=kind, people=[expected], launched=True)
    found = await people.search(environment, tenant, kind, context["search"])
    return page("oauth/sign_in.html", **context, kind=kind, people=found, launched=False)


async def _patient_missing(session: AsyncSession, interaction: Interaction, person: CitizenSignIn) -> bool:
    """Whether somebody must still choose a patient; a citizen's own record needs no choice."""
    if not interactions.needs_patient(interaction) or (interaction.launch_id is not None and interaction.patient):
        return False
    if person.reference.startswith("Patient/"):
        await interactions.choose_patient(session, interaction, person.reference.partition("/")[2])
        return False
    return not interaction.patient


async def _consent(
    context: dict[str, Any], interaction: Interaction, person: CitizenSignIn, people: People, status: int = 200
) -> Template:
    client: ClientRecord = context["client"]
    patient = (
        await people.find(context["environment"], client.tenant, f"Patient/{interaction.patient}")
        if interaction.patient
        else None
    )
    return page(
        "oauth/consent.html",
        status=status,
        **context,
        items=wording.items(interaction.scopes),
        person=person,
        patient=patient,
        may_choose=interaction.launch_id is None and person.reference.startswith("Practitioner/"),
        host=urlsplit(interaction.redirect_uri).netloc or urlsplit(interaction.redirect_uri).scheme,
    )


@post("/{environment:str}/oauth/interaction/{handle:str}/sign-in", opt={"throttle": "60/minute"})
async def sign_in(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    oauth: Server,
    people: Persons,
    visit: Visited,
) -> Redirect:
    """Sign in as the persona that was picked."""
    client, launch = visit.client, visit.launch
    if environment not in oauth.personas or environment in oauth.identity:
        raise SignInUnavailable
    form = await read_form(request)
    person = await people.find(environment, client.tenant, form["person"])
    if person is None or (launch is not None and launch.user != person.reference):
        raise NotFound
    _, token = await interactions.open_sign_in(session, person, environment=environment, tenant=client.tenant, now=now)
    answer = see(place_of(environment, handle))
    answer.cookies.append(sign_in_cookie(shell, environment, token))
    return answer


@post("/{environment:str}/oauth/interaction/{handle:str}/patient")
async def choose_patient(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    people: Persons,
    visit: Visited,
) -> Redirect:
    """Take the patient a practitioner picked."""
    interaction, person = visit.interaction, visit.person
    if person is None:
        return see(place_of(environment, handle))
    form = await read_form(request)
    patient = await people.find(environment, visit.client.tenant, f"Patient/{form['patient']}")
    own = person.reference == f"Patient/{form['patient']}"
    if patient is None or not (own or person.reference.startswith("Practitioner/")):
        raise NotFound
    await interactions.choose_patient(session, interaction, patient.id)
    return see(place_of(environment, handle))


@post("/{environment:str}/oauth/interaction/{handle:str}/decision")
async def decide(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    oauth: Server,
    people: Persons,
    visit: Visited,
) -> Redirect | Template:
    """Take the person's yes or no, and go back to the App with it."""
    interaction, client, launch, person = visit.interaction, visit.client, visit.launch, visit.person
    if person is None:
        return see(place_of(environment, handle))
    form = await read_form(request)
    issuer = oauth.tokens.issuer(environment)
    if form["decision"] != "allow" or (launch is not None and launch.fault == "denied"):
        return Redirect(await interactions.refuse(session, interaction, issuer=issuer, now=now), status_code=303)
    try:
        target = await interactions.approve(
            session,
            interaction,
            person,
            chosen=wording.chosen_scopes(interaction.scopes, form.all("scope")),
            tenant=client.tenant,
            issuer=issuer,
            now=now,
        )
    except Invalid as error:
        context = {
            "place": place_of(environment, handle),
            "environment": environment,
            "client": client,
            "search": "",
            "form": form.refused(error),
        }
        return private(await _consent(context, interaction, person, people, status=422), interaction.redirect_uri)
    return Redirect(target, status_code=303)


@post("/{environment:str}/oauth/interaction/{handle:str}/another")
async def another_person(
    environment: FromPath[str],
    handle: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    visit: Visited,
) -> Redirect:
    """Sign the person out, so that somebody else can sign in."""
    interaction = visit.interaction
    person = await who(request, session, shell, environment, visit.client.tenant, now)
    if person is not None:
        await interactions.sign_out(session, person, now)
    if interaction.launch_id is None:
        interaction.patient = ""
    answer = see(place_of(environment, handle))
    answer.cookies.append(sign_in_cookie(shell, environment, ""))
    return answer


HANDLERS = (continue_page, sign_in, choose_patient, decide, another_person)
