"""Which redirect URIs may be registered (RFC 9700 §2.1, RFC 8252 §7): exact ones, https, or loopback in the sandbox."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from portal.kernel.errors import Invalid

LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
# A private-use scheme is a reversed domain name (RFC 8252 §7.1), so that nobody else's app claims it.
PRIVATE_USE = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9-]+)+")
MAX_LENGTH = 500


class UnusableRedirectUri(Invalid):
    code = "redirect-uri"
    title = "This redirect URI cannot be used"
    title_fa = "این نشانی بازگشت پذیرفته نیست"


def checked(uri: str, environment: str) -> str:
    """`uri` without surrounding blanks; raises UnusableRedirectUri, saying what is wrong."""
    uri = uri.strip()
    if fault := _fault(uri, environment):
        english, persian = fault
        raise UnusableRedirectUri(f"{uri[:80]}: {english}", fa=f"{uri[:80]}: {persian}", field="redirect_uris")
    return uri


def _fault(uri: str, environment: str) -> tuple[str, str] | None:
    if len(uri) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters", "بیش از ۵۰۰ نویسه است"
    if any(ord(letter) <= 32 or ord(letter) > 126 or letter in '\\"<>^`{|}' for letter in uri):
        return "holds a character that a URI may not", "نویسهٔ نامجاز دارد"
    if "*" in uri:
        return "wildcards are not allowed", "نشانهٔ * پذیرفته نیست"
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "is not a URI", "نشانی درستی نیست"
    if "#" in uri:
        return "may not have a fragment", "نباید بخش # داشته باشد"
    if parts.username is not None or parts.password is not None:
        return "may not hold a user name", "نباید نام کاربری داشته باشد"
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        return "may not hold . or .. segments", "نباید بخش . یا .. داشته باشد"
    return _scheme_fault(parts.scheme, parts.hostname or "", port, environment)


def _scheme_fault(scheme: str, host: str, port: int | None, environment: str) -> tuple[str, str] | None:
    if scheme == "https":
        return None if host and port != 0 else ("has no host", "میزبان ندارد")
    shown = f"[{host}]" if ":" in host else host
    if scheme == "http" and shown in LOOPBACK:
        if environment == "sandbox":
            return None
        return "must be https in production", "در محیط عملیاتی باید https باشد"
    if PRIVATE_USE.fullmatch(scheme):
        return None
    return (
        "must be https (or http on 127.0.0.1 in the sandbox)",
        "باید https باشد (یا در محیط آزمایشی http روی 127.0.0.1)",
    )
