"""Signing in at the identity provider, and coming back from it."""

from __future__ import annotations

import secrets

from litestar import get
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect

from portal.oauth import interactions
from portal.oauth.identity import Attempt, NotIdentified
from portal.oauth.interaction_pages import Persons, Server, SignInUnavailable, opened, place_of, sign_in_cookie
from portal.web.csrf import cookie_name
from portal.web.dependencies import AnyRequest, Db, Now, ShellValues
from portal.web.pages import see
from portal.web.shell import Shell


def _attempt_cookie(shell: Shell, environment: str, value: str) -> Cookie:
    return Cookie(
        key=cookie_name(shell, f"gozar_identity_{environment}"),
        value=value,
        path="/",
        httponly=True,
        samesite="lax",
        secure=shell.secure,
        max_age=900 if value else 0,
    )


@get("/{environment:str}/oauth/interaction/{handle:str}/identity")
async def leave(
    environment: FromPath[str], handle: FromPath[str], session: Db, now: Now, shell: ShellValues, oauth: Server
) -> Redirect:
    """Send the person to the identity provider."""
    interaction, _, _ = await opened(session, oauth, environment, handle, now)
    provider = oauth.identity.get(environment)
    if provider is None:
        raise SignInUnavailable
    attempt = Attempt(secrets.token_urlsafe(24), oauth.vault_key)
    target = await provider.begin(
        state=attempt.state(handle),
        nonce=attempt.nonce,
        verifier=attempt.verifier,
        redirect_uri=f"{oauth.public_url}/{environment}/oauth/identity",
        fresh=interaction.fresh_from is not None,
    )
    answer = Redirect(target, status_code=303)
    answer.cookies.append(_attempt_cookie(shell, environment, attempt.secret))
    return answer


@get("/{environment:str}/oauth/identity", opt={"throttle": "60/minute"})
async def come_back(
    environment: FromPath[str],
    request: AnyRequest,
    session: Db,
    now: Now,
    shell: ShellValues,
    oauth: Server,
    people: Persons,
) -> Redirect:
    """Take the provider's word, find the person's record, sign them in."""
    provider = oauth.identity.get(environment)
    if provider is None:
        raise SignInUnavailable
    secret = request.cookies.get(cookie_name(shell, f"gozar_identity_{environment}"), "")
    attempt = Attempt(secret, oauth.vault_key)
    handle = attempt.handle_of(request.query_params.get("state", ""))
    _, client, _ = await opened(session, oauth, environment, handle, now)
    code = request.query_params.get("code", "")
    if not code:
        raise NotIdentified
    identity = await provider.finish(
        code=code,
        nonce=attempt.nonce,
        verifier=attempt.verifier,
        redirect_uri=f"{oauth.public_url}/{environment}/oauth/identity",
        now=now,
    )
    person = await people.by_national_code(environment, client.tenant, identity.national_code)
    if person is None:
        raise NotIdentified("There is no health record for this identity", fa="برای این هویت پروندهٔ سلامتی یافت نشد")
    _, token = await interactions.open_sign_in(session, person, environment=environment, tenant=client.tenant, now=now)
    answer = see(place_of(environment, handle))
    answer.cookies.extend([sign_in_cookie(shell, environment, token), _attempt_cookie(shell, environment, "")])
    return answer


HANDLERS = (leave, come_back)
