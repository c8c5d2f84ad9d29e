"""Pages for signing up and in, and for a forgotten password."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from portal.users import confirmation, profile_pages, second_factor, service
from portal.users.authentication import no_session_cookie, session_cookie
from portal.users.dependencies import AnyRequest, TellNext, Visitor
from portal.users.models import SignIn, User
from portal.users.sign_ins import close_sign_in, open_sign_in
from portal.users.tokens import digest
from portal.web.dependencies import Db, Keys, MailPort, Now, ShellValues, ThrottlePort
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.i18n import lang, url
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.throttle import TooManyRequests, check
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("account", "/profile", "نمایه و امنیت", "Profile and security", position=80, icon="user"),
]


def safe_next(target: str) -> str:
    """A path of this site to go on to, or the dashboard; never another host (`//host`, a scheme, a backslash)."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if plain and all(ord(letter) > 32 for letter in target) else "/dashboard"


def go_on(target: str) -> str:
    """`target` in the language of this request, unless it names its own."""
    return target if target == "/en" or target.startswith("/en/") else url(target)


@get("/sign-up")
async def sign_up_page(current_user: Visitor) -> Response[bytes] | Template | Redirect:
    """The form to register."""
    return see("/dashboard") if current_user else page("users/sign_up.html", form=Form())


@post("/sign-up", opt={"throttle": "30/minute"})
async def sign_up(
    request: AnyRequest, session: Db, now: Now, mailer: MailPort, shell: ShellValues
) -> Template | Redirect:
    """Register; go on to sign in, whoever the address belongs to."""
    form = await read_form(request)
    try:
        await service.sign_up(
            session,
            email=form["email"],
            name=form["name"],
            password=form["password"],
            language=lang(),
            now=now,
            mailer=mailer,
            sign_in_url=shell.public_url + url("/sign-in"),
            confirm_url=shell.public_url + url("/confirm/"),
        )
    except REFUSALS as error:
        await session.rollback()
        return page("users/sign_up.html", status=422, form=form.refused(error))
    return see("/sign-in?" + urlencode({"done": "signed-up", "email": service.clean_email(form["email"])}))


@get("/sign-in")
async def sign_in_page(request: AnyRequest, current_user: Visitor) -> Template | Redirect:
    """The form to sign in; `next` is where to go on to."""
    target = safe_next(request.query_params.get("next", "/dashboard"))
    if current_user:
        return Redirect(go_on(target), status_code=303)
    form = Form({"email": request.query_params.get("email", "")[:254]})
    return page("users/sign_in.html", form=form, next=target, done=request.query_params.get("done", ""))


@post("/sign-in", opt={"throttle": "60/minute"})
async def sign_in(
    request: AnyRequest, session: Db, now: Now, shell: ShellValues, throttle: ThrottlePort
) -> Response[None] | Template | Redirect:
    """Sign in with a password; an account with a second factor goes on to its code."""
    form = await read_form(request)
    target = safe_next(form["next"])
    try:
        await check(throttle, f"sign-in:{digest(form['email'].strip().lower())}", "10/minute")
        user = await service.authenticate(session, email=form["email"], password=form["password"])
    except (service.WrongCredentials, TooManyRequests) as error:
        status = 429 if isinstance(error, TooManyRequests) else 422
        return page("users/sign_in.html", status=status, form=form.refused(error), next=target, done="")
    if old := request.scope["state"].get("sign_in_token"):
        await close_sign_in(session, old)
    needs_code = user.totp_confirmed_at is not None
    token = await open_sign_in(
        session, user=user, now=now, user_agent=request.headers.get("user-agent", ""), awaiting_code=needs_code
    )
    answer = (
        see("/sign-in/code?" + urlencode({"next": target})) if needs_code else Redirect(go_on(target), status_code=303)
    )
    answer.set_cookie(session_cookie(shell, token))
    return answer


@get("/sign-in/code")
async def code_page(request: AnyRequest) -> Template | Redirect:
    """The form for the code of the second factor."""
    waiting = request.scope["state"].get("sign_in")
    if not isinstance(waiting, SignIn) or not waiting.awaiting_code:
        return see("/sign-in")
    return page("users/code.html", form=Form(), next=safe_next(request.query_params.get("next", "")))


@post("/sign-in/code", opt={"throttle": "30/minute"})
async def sign_in_code(
    request: AnyRequest, session: Db, now: Now, shell: ShellValues, keyring: Keys, throttle: ThrottlePort
) -> Template | Redirect:
    """Finish signing in; the session gets a new id."""
    form = await read_form(request)
    state = request.scope["state"]
    waiting = state.get("sign_in")
    user = await session.get(User, waiting.user_id) if isinstance(waiting, SignIn) and waiting.awaiting_code else None
    if user is None:
        return see("/sign-in")
    target = safe_next(form["next"])
    try:
        await check(throttle, f"code:{user.id}", "5/minute")
        second_factor.verify(user, form["code"], now=now, keyring=keyring)
    except (second_factor.WrongCode, TooManyRequests) as error:
        status = 429 if isinstance(error, TooManyRequests) else 422
        return page("users/code.html", status=status, form=form.refused(error), next=target)
    await close_sign_in(session, state["sign_in_token"])
    token = await open_sign_in(session, user=user, now=now, user_agent=request.headers.get("user-agent", ""))
    answer = Redirect(go_on(target), status_code=303)
    answer.set_cookie(session_cookie(shell, token))
    return answer


@post("/sign-out")
async def sign_out(request: AnyRequest, session: Db, shell: ShellValues) -> Redirect:
    """End this browser's session."""
    if token := request.scope["state"].get("sign_in_token"):
        await close_sign_in(session, token)
    answer = see("/sign-in?done=signed-out")
    answer.set_cookie(no_session_cookie(shell))
    return answer


@get("/confirm/{token:str}", sync_to_thread=False)
def confirm_page(token: FromPath[str]) -> Template:
    """Asks for one press of a button: mail scanners follow links, and must not confirm anything."""
    return page("users/confirm.html", token=token)


@post("/confirm/{token:str}", opt={"throttle": "30/minute"})
async def confirm(token: FromPath[str], session: Db, now: Now, tell: TellNext) -> Redirect:
    """Confirm the address of the link's User."""
    await confirmation.confirm(session, token=token, now=now)
    tell(Notice("success", "نشانی ایمیل شما تأیید شد.", "Your e-mail address is confirmed."))
    return see("/sign-in?done=confirmed")


@get("/password/forgot", sync_to_thread=False)
def forgot_page() -> Template:
    """The form to ask for a link."""
    return page("users/forgot.html", form=Form(), sent=False)


@post("/password/forgot", opt={"throttle": "10/minute"})
async def forgot(request: AnyRequest, session: Db, now: Now, mailer: MailPort, shell: ShellValues) -> Template:
    """Mail a link, if there is such a User; the page is the same."""
    form = await read_form(request)
    try:
        await service.ask_password_reset(
            session, email=form["email"], now=now, mailer=mailer, reset_url=shell.public_url + url("/password/reset/")
        )
    except REFUSALS as error:
        return page("users/forgot.html", status=422, form=form.refused(error), sent=False)
    return page("users/forgot.html", form=form, sent=True)


@get("/password/reset/{token:str}")
async def reset_page(token: FromPath[str], session: Db, now: Now) -> Template:
    """The form to choose a new password."""
    await service.find_reset(session, token=token, now=now)
    return page("users/reset.html", form=Form(), token=token)


@post("/password/reset/{token:str}", opt={"throttle": "30/minute"})
async def reset(token: FromPath[str], request: AnyRequest, session: Db, now: Now) -> Template | Redirect:
    """Choose a new password."""
    form = await read_form(request)
    try:
        await service.reset_password(session, token=token, password=form["password"], now=now)
    except REFUSALS as error:
        await session.rollback()
        return page("users/reset.html", status=422, form=form.refused(error), token=token)
    return see("/sign-in?done=new-password")


routes: Sequence[Router] = [
    *pages(
        sign_up_page,
        sign_up,
        sign_in_page,
        sign_in,
        code_page,
        sign_in_code,
        sign_out,
        confirm_page,
        confirm,
        forgot_page,
        forgot,
        reset_page,
        reset,
    ),
    *profile_pages.routes,
]
