"""Pages of a person's own profile: name and language, password, second factor, sessions, personal tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Template
from litestar.response.redirect import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import DomainError
from portal.kernel.keys import Keyring
from portal.kernel.text import fold
from portal.users import confirmation, queries, second_factor, service
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.users.models import User
from portal.users.sign_ins import close_all
from portal.web.dependencies import Db, Keys, MailPort, Now, ShellValues
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.i18n import url
from portal.web.pages import page, pages, see
from portal.web.visit import Notice


async def _profile(
    session: AsyncSession,
    request: AnyRequest,
    user: User,
    *,
    now: datetime,
    keyring: Keyring,
    form: Form,
    about: str = "",
    status: int = 200,
) -> Template:
    """The page; `form` belongs to the section `about`, the other sections are fresh."""
    secret = second_factor.pending_secret(user, keyring=keyring)
    return page(
        "users/profile.html",
        status=status,
        user=user,
        form=form,
        about=about,
        fresh=Form(),
        tokens=await queries.personal_tokens_of(session, user.id, now=now),
        sign_ins=await queries.sign_ins_of(session, user.id, now=now),
        this_sign_in=getattr(request.scope["state"].get("sign_in"), "id_hash", ""),
        secret=secret,
        uri=second_factor.provisioning_uri(secret, email=user.email) if secret else "",
    )


@get("/profile")
async def profile_page(request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys) -> Template:
    """Everything about one's own account."""
    return await _profile(session, request, user, now=now, keyring=keyring, form=Form())


async def _refuse(
    session: AsyncSession,
    request: AnyRequest,
    user: User,
    error: DomainError,
    *,
    now: datetime,
    keyring: Keyring,
    form: Form,
    about: str,
) -> Template:
    await session.rollback()
    await session.refresh(user)
    return await _profile(
        session, request, user, now=now, keyring=keyring, form=form.refused(error), about=about, status=422
    )


@post("/profile/confirmation", opt={"throttle": "10/minute"})
async def ask_confirmation(
    session: Db, user: CurrentUser, now: Now, mailer: MailPort, shell: ShellValues, tell: TellNext
) -> Redirect:
    """Mail another link to confirm the address."""
    await confirmation.mail_again(
        session, user, confirm_url=shell.public_url + url("/confirm/"), mailer=mailer, now=now
    )
    tell(Notice("info", "پیوند تأیید دوباره فرستاده شد.", "The link was mailed again."))
    return see("/profile")


@post("/profile")
async def change_profile(
    request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys, tell: TellNext
) -> Template | Redirect:
    """Change name and language; the next page is in the chosen language."""
    form = await read_form(request)
    try:
        await service.update_profile(session, user=user, name=form["name"], language=form["language"], now=now)
    except REFUSALS as error:
        return await _refuse(session, request, user, error, now=now, keyring=keyring, form=form, about="profile")
    tell(Notice("success", "نمایه ذخیره شد.", "Your profile is saved."))
    return Redirect("/profile" if user.language == "fa" else "/en/profile", status_code=303)


@post("/profile/password", opt={"throttle": "10/minute"})
async def change_password(
    request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys, tell: TellNext
) -> Template | Redirect:
    """Choose a new password; other sessions and tokens end."""
    form = await read_form(request)
    keep = request.scope["state"].get("sign_in_token", "")
    try:
        await service.change_password(
            session, user=user, current=form["current"], password=form["password"], now=now, keep_session=keep
        )
    except REFUSALS as error:
        return await _refuse(session, request, user, error, now=now, keyring=keyring, form=form, about="password")
    tell(
        Notice(
            "success",
            "گذرواژه عوض شد. نشست‌های دیگر و توکن‌های شخصی پایان یافتند.",
            "Your password is changed. Other sessions and personal tokens have ended.",
        )
    )
    return see("/profile")


@post("/profile/second-factor")
async def begin_second_factor(session: Db, user: CurrentUser, keyring: Keys) -> Redirect:
    """Make a secret for an authenticator."""
    second_factor.begin(user, keyring=keyring)
    return see("/profile#second-factor")


@post("/profile/second-factor/confirm", opt={"throttle": "10/minute"})
async def confirm_second_factor(
    request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys, tell: TellNext
) -> Template | Redirect:
    """Turn the second factor on."""
    form = await read_form(request)
    try:
        keep = request.scope["state"].get("sign_in_token", "")
        await second_factor.confirm(session, user=user, code=form["code"], now=now, keyring=keyring, keep_session=keep)
    except REFUSALS as error:
        return await _refuse(session, request, user, error, now=now, keyring=keyring, form=form, about="second-factor")
    tell(Notice("success", "ورود دومرحله‌ای فعال شد.", "The second factor is on."))
    return see("/profile")


@post("/profile/second-factor/remove", opt={"throttle": "10/minute"})
async def remove_second_factor(
    request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys, tell: TellNext
) -> Template | Redirect:
    """Turn the second factor off."""
    form = await read_form(request)
    try:
        await second_factor.remove(session, user=user, code=form["code"], now=now, keyring=keyring)
    except REFUSALS as error:
        return await _refuse(session, request, user, error, now=now, keyring=keyring, form=form, about="second-factor")
    tell(Notice("success", "ورود دومرحله‌ای غیرفعال شد.", "The second factor is off."))
    return see("/profile")


@post("/profile/sessions/close")
async def close_sessions(request: AnyRequest, session: Db, user: CurrentUser, tell: TellNext) -> Redirect:
    """End every other browser session."""
    await close_all(session, user_id=user.id, but=request.scope["state"].get("sign_in_token", ""))
    tell(Notice("success", "نشست‌های دیگر پایان یافتند.", "Your other sessions have ended."))
    return see("/profile")


@post("/profile/tokens")
async def make_token(
    request: AnyRequest, session: Db, user: CurrentUser, now: Now, keyring: Keys, tell: TellNext
) -> Template | Redirect:
    """Make a personal token; the next page shows it once."""
    form = await read_form(request)
    days = fold(form["days"])
    lasts = timedelta(days=int(days)) if days.isdecimal() and len(days) < 5 else timedelta(0)
    try:
        _, plain = await service.make_personal_token(session, user=user, name=form["name"], now=now, lasts=lasts)
    except REFUSALS as error:
        return await _refuse(session, request, user, error, now=now, keyring=keyring, form=form, about="tokens")
    tell(
        Notice(
            "secret",
            "توکن شخصی ساخته شد. تنها همین یک بار نشان داده می‌شود؛ اکنون آن را در جای امنی نگه دارید.",
            "Your personal token is made. It is shown only this once: keep it somewhere safe now.",
            {"personal token": plain},
        )
    )
    return see("/profile")


@post("/profile/tokens/{token_id:str}/revoke")
async def revoke_token(token_id: FromPath[str], session: Db, user: CurrentUser, now: Now, tell: TellNext) -> Redirect:
    """End a personal token."""
    token = await queries.personal_token_of(session, user.id, token_id)
    await service.revoke_personal_token(session, token=token, now=now)
    tell(Notice("success", "توکن باطل شد.", "The token is revoked."))
    return see("/profile")


routes: Sequence[Router] = pages(
    profile_page,
    ask_confirmation,
    change_profile,
    change_password,
    begin_second_factor,
    confirm_second_factor,
    remove_second_factor,
    close_sessions,
    make_token,
    revoke_token,
    guards=[signed_in],
)
