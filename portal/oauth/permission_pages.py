"""The citizen's own list of DataAccessGrants (SMART's `management_endpoint`): see them, withdraw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from portal.kernel.errors import Invalid, NotFound
from portal.oauth import grants, interactions, wording
from portal.oauth.grants import ListedGrant
from portal.oauth.interaction_pages import Persons, Server, SignInUnavailable, sign_in_cookie, who
from portal.oauth.service import ENVIRONMENTS
from portal.web.dependencies import AnyRequest, Db, Now, ShellValues
from portal.web.forms import Form, read_form
from portal.web.i18n import url
from portal.web.pages import page, see


@dataclass(frozen=True, slots=True)
class _Shown:
    grant_row: ListedGrant
    lines: list[wording.Item]


@get("/{environment:str}/permissions")
async def permissions_page(
    environment: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    oauth: Server,
    people: Persons,
) -> Template:
    """The grants of the person signed in with this browser, or the way to sign in."""
    if environment not in ENVIRONMENTS:
        raise NotFound
    person = await who(request, session, shell, environment, None, now)
    asked, search = request.query_params.get("app", ""), request.query_params.get("name", "")[:60]
    context: dict[str, Any] = {
        "environment": environment,
        "person": person,
        "search": search,
        "form": Form(),
        "client": None,
    }
    context |= {"grants": [], "people": [], "done": request.query_params.get("done", "")}
    if person is not None:
        listed = await grants.of_citizen(session, environment=environment, tenant=person.tenant, subject=person.subject)
        context["grants"] = [_Shown(each, wording.items(each.grant.scopes)) for each in listed]
    elif asked and environment in oauth.personas and environment not in oauth.identity:
        client = await oauth.clients.get(asked)
        if client is None or client.environment != environment:
            missing = Invalid("There is no App with this client id", fa="برنامه‌ای با این شناسه نیست", field="app")
            context["form"] = Form({"app": asked}).refused(missing)
        else:
            found = await people.search(environment, client.tenant, "Patient", search)
            context |= {"client": client, "people": found}
    return page("oauth/permissions.html", **context)


@post("/{environment:str}/permissions/sign-in", opt={"throttle": "60/minute"})
async def sign_in(
    environment: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    oauth: Server,
    people: Persons,
) -> Redirect:
    """Sign in as a persona, outside any authorization."""
    if environment not in oauth.personas or environment in oauth.identity:
        raise SignInUnavailable
    client = await oauth.clients.get(request.query_params.get("app", ""))
    form = await read_form(request)
    if client is None or client.environment != environment:
        raise NotFound
    person = await people.find(environment, client.tenant, form["person"])
    if person is None:
        raise NotFound
    _, token = await interactions.open_sign_in(session, person, environment=environment, tenant=client.tenant, now=now)
    answer = see(f"/{environment}/permissions")
    answer.cookies.append(sign_in_cookie(shell, environment, token))
    return answer


@post("/{environment:str}/permissions/sign-out")
async def sign_out(
    environment: FromPath[str], request: AnyRequest, session: Db, now: Now, shell: ShellValues
) -> Redirect:
    """Sign the person out."""
    person = await who(request, session, shell, environment, None, now)
    if person is not None:
        await interactions.sign_out(session, person, now)
    answer = see(f"/{environment}/permissions")
    answer.cookies.append(sign_in_cookie(shell, environment, ""))
    return answer


@post("/{environment:str}/permissions/{grant_id:str}/withdraw")
async def withdraw(
    environment: FromPath[str],
    grant_id: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
) -> Redirect:
    """Withdraw one grant of one's own."""
    person = await who(request, session, shell, environment, None, now)
    if person is None:
        raise NotFound
    await grants.revoke(
        session,
        grant_id=grant_id,
        environment=environment,
        tenant=person.tenant,
        subject=person.subject,
        now=now,
    )
    return Redirect(url(f"/{environment}/permissions") + "?done=withdrawn", status_code=303)


HANDLERS = (permissions_page, sign_in, sign_out, withdraw)
