"""JSON routes of Users: signing up, sessions for scripts, profile, password, second factor, personal tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from litestar import Router, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from portal.users import confirmation, queries, second_factor, service
from portal.users.dependencies import AnyRequest, CurrentUser
from portal.users.guards import signed_in
from portal.users.schemas import (
    Code,
    ConfirmationToken,
    MadeToken,
    Me,
    NewPassword,
    NewSession,
    NewToken,
    PasswordChange,
    ProfileChange,
    ResetRequest,
    SecondFactorSecret,
    SessionToken,
    SignedUp,
    SignUp,
    TokenInfo,
)
from portal.users.tokens import digest
from portal.web.api import api, problems
from portal.web.dependencies import Db, Keys, MailPort, Now, ShellValues, ThrottlePort
from portal.web.throttle import check


class CodeNeeded(service.WrongCredentials):
    code = "code-needed"
    title = "This account has a second factor: send its code too"
    title_fa = "این حساب ورود دومرحله‌ای دارد؛ کد آن را نیز بفرستید"


@post("/users", status_code=202, responses=problems(400, 415, 422, 429), opt={"throttle": "30/minute"})
async def sign_up(data: JSONBody[SignUp], session: Db, now: Now, mailer: MailPort, shell: ShellValues) -> SignedUp:
    """Register a person. The answer is the same whether or not the address was free."""
    await service.sign_up(
        session,
        email=data.email,
        name=data.name,
        password=data.password,
        language=data.language,
        now=now,
        mailer=mailer,
        sign_in_url=f"{shell.public_url}/sign-in",
        confirm_url=f"{shell.public_url}/confirm/",
    )
    return SignedUp(service.clean_email(data.email))


@post("/sessions", responses=problems(400, 401, 415, 429), opt={"throttle": "60/minute"})
async def open_session(
    data: JSONBody[NewSession], session: Db, now: Now, keyring: Keys, throttle: ThrottlePort
) -> SessionToken:
    """Sign in from a script: a bearer token that lasts 12 hours."""
    await check(throttle, f"sign-in:{digest(data.email.strip().lower())}", "10/minute")
    user = await service.authenticate(session, email=data.email, password=data.password)
    if user.totp_confirmed_at is not None:
        if not data.code:
            raise CodeNeeded
        second_factor.verify(user, data.code, now=now, keyring=keyring)
    made, plain = await service.make_personal_token(
        session, user=user, name="API session", now=now, lasts=service.SESSION_TOKEN_LASTS
    )
    return SessionToken(plain, made.expires_at)


@delete("/sessions/current", guards=[signed_in], responses=problems(401))
async def close_session(request: AnyRequest, session: Db, now: Now) -> None:
    """End the token this request is made with. Browser sessions end by signing out on the page."""
    plain = request.headers.get("authorization", "")[7:].strip()
    found = await queries.find_personal_token(session, plain, now=now)
    if found is not None:
        await service.revoke_personal_token(session, token=found[0], now=now)


@get("/me", responses=problems(401))
async def me(user: CurrentUser) -> Me:
    """The signed-in User."""
    return Me.of(user)


@patch("/me", responses=problems(400, 401, 415, 422))
async def change_me(data: JSONBody[ProfileChange], user: CurrentUser, session: Db, now: Now) -> Me:
    """Change name or language."""
    await service.update_profile(session, user=user, name=data.name, language=data.language, now=now)
    return Me.of(user)


@post("/me/confirmation", status_code=202, responses=problems(401, 429), opt={"throttle": "10/minute"})
async def ask_confirmation(user: CurrentUser, session: Db, now: Now, mailer: MailPort, shell: ShellValues) -> Me:
    """Mail another link to confirm one's address; nothing is sent when it is confirmed."""
    await confirmation.mail_again(session, user, confirm_url=f"{shell.public_url}/confirm/", mailer=mailer, now=now)
    return Me.of(user)


@post("/confirmations", status_code=204, responses=problems(400, 404, 415, 429), opt={"throttle": "30/minute"})
async def confirm(data: JSONBody[ConfirmationToken], session: Db, now: Now) -> None:
    """Confirm an address with the token that ends the mailed link."""
    await confirmation.confirm(session, token=data.token, now=now)


@put("/me/password", status_code=204, responses=problems(400, 401, 415, 422, 429), opt={"throttle": "10/minute"})
async def change_password(data: JSONBody[PasswordChange], user: CurrentUser, session: Db, now: Now) -> None:
    """Choose a new password; every session and personal token ends, this one too."""
    await service.change_password(session, user=user, current=data.current, password=data.password, now=now)


@post("/password-resets", status_code=202, responses=problems(400, 415, 422, 429), opt={"throttle": "10/minute"})
async def ask_reset(
    data: JSONBody[ResetRequest], session: Db, now: Now, mailer: MailPort, shell: ShellValues
) -> SignedUp:
    """Mail a link to choose a new password, if there is such a User; the answer is the same."""
    await service.ask_password_reset(
        session, email=data.email, now=now, mailer=mailer, reset_url=f"{shell.public_url}/password/reset/"
    )
    return SignedUp(service.clean_email(data.email))


@put("/password-resets", status_code=204, responses=problems(400, 404, 415, 422, 429), opt={"throttle": "30/minute"})
async def reset(data: JSONBody[NewPassword], session: Db, now: Now) -> None:
    """Choose a new password with the token of a mailed link."""
    await service.reset_password(session, token=data.token, password=data.password, now=now)


@post("/me/second-factor", responses=problems(401, 409))
async def begin_second_factor(user: CurrentUser, session: Db, keyring: Keys) -> SecondFactorSecret:
    """Make a new secret for an authenticator; nothing is demanded until it is confirmed."""
    secret = second_factor.begin(user, keyring=keyring)
    return SecondFactorSecret(secret, second_factor.provisioning_uri(secret, email=user.email))


@put("/me/second-factor", responses=problems(400, 401, 409, 415, 422, 429), opt={"throttle": "10/minute"})
async def confirm_second_factor(data: JSONBody[Code], user: CurrentUser, session: Db, now: Now, keyring: Keys) -> Me:
    """Turn the second factor on with its first code."""
    await second_factor.confirm(session, user=user, code=data.code, now=now, keyring=keyring)
    return Me.of(user)


@post(
    "/me/second-factor/removal",
    status_code=200,
    responses=problems(400, 401, 415, 422, 429),
    opt={"throttle": "10/minute"},
)
async def remove_second_factor(data: JSONBody[Code], user: CurrentUser, session: Db, now: Now, keyring: Keys) -> Me:
    """Turn the second factor off, with a code."""
    await second_factor.remove(session, user=user, code=data.code, now=now, keyring=keyring)
    return Me.of(user)


@get("/me/tokens", responses=problems(401))
async def list_tokens(user: CurrentUser, session: Db, now: Now) -> list[TokenInfo]:
    """Live personal tokens, newest first."""
    return [TokenInfo.of(token) for token in await queries.personal_tokens_of(session, user.id, now=now)]


@post("/me/tokens", responses=problems(400, 401, 415, 422))
async def make_token(data: JSONBody[NewToken], user: CurrentUser, session: Db, now: Now) -> MadeToken:
    """Make a personal token for scripts."""
    made, plain = await service.make_personal_token(
        session, user=user, name=data.name, now=now, lasts=timedelta(days=max(0, min(data.days, 100_000)))
    )
    return MadeToken(plain, TokenInfo.of(made))


@delete("/me/tokens/{token_id:str}", responses=problems(401, 404))
async def revoke_token(token_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> None:
    """End a personal token."""
    token = await queries.personal_token_of(session, user.id, token_id)
    await service.revoke_personal_token(session, token=token, now=now)


routes: Sequence[Router] = [
    api(sign_up, open_session, ask_reset, reset, confirm, tag="Users", public=True),
    api(
        close_session,
        me,
        change_me,
        ask_confirmation,
        change_password,
        begin_second_factor,
        confirm_second_factor,
        remove_second_factor,
        list_tokens,
        make_token,
        revoke_token,
        tag="Users",
    ),
]
