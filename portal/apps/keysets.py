"""Which public keys an App may register (RFC 7517): signing keys of the algorithms the token endpoint accepts, and no private part."""

from __future__ import annotations

import warnings
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from portal.kernel.errors import Invalid

PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
CURVES = {"P-256": "ES256", "P-384": "ES384"}
MIN_RSA_BITS = 2048
MAX_KEYS = 10
IMPORTERS: dict[str, Any] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}


class UnusableKeys(Invalid):
    code = "jwks"
    title = "This key set cannot be used"
    title_fa = "این مجموعه‌کلید پذیرفته نیست"


def _refuse(english: str, persian: str) -> UnusableKeys:
    return UnusableKeys(english, fa=persian, field="jwks")


def checked(jwks: Any) -> dict[str, Any]:
    """`{"keys": [...]}` with only public members; a single JWK is taken as a set of one. Raises UnusableKeys."""
    if isinstance(jwks, dict) and "keys" not in jwks and "kty" in jwks:
        jwks = {"keys": [jwks]}
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not keys:
        raise _refuse(
            'A JWKS is {"keys": [...]} with at least one key',
            'یک JWKS باید به شکل {"keys": [...]} با دست‌کم یک کلید باشد',
        )
    if len(keys) > MAX_KEYS:
        raise _refuse(f"At most {MAX_KEYS} keys", f"حداکثر {MAX_KEYS} کلید")
    clean = [_one(key) for key in keys]
    kids = [key.get("kid") for key in clean]
    if len(clean) > 1 and (None in kids or len(set(kids)) != len(kids)):
        raise _refuse("Every key of a set needs a kid of its own", "هر کلید باید kid جداگانه داشته باشد")
    return {"keys": clean}


def _one(key: Any) -> dict[str, Any]:
    if not isinstance(key, dict):
        raise _refuse("A key is a JSON object", "هر کلید باید یک شیء JSON باشد")
    if PRIVATE_PARTS & key.keys():
        raise _refuse(
            "This is a private key: keep it, and register only its public part",
            "این کلید خصوصی است: آن را نزد خود نگه دارید و تنها بخش عمومی‌اش را ثبت کنید",
        )
    if key.get("use", "sig") != "sig":
        raise _refuse("Only signing keys (use: sig) are accepted", "تنها کلید امضا (use: sig) پذیرفته می‌شود")
    importer = IMPORTERS.get(str(key.get("kty")))
    if importer is None:
        raise _refuse("kty must be EC, RSA or OKP", "kty باید EC، RSA یا OKP باشد")
    kid = key.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= 200):
        raise _refuse("kid is a text of at most 200 characters", "kid باید متنی حداکثر ۲۰۰ نویسه‌ای باشد")
    try:
        with warnings.catch_warnings():
            # A short RSA key is refused below, with words of our own.
            warnings.simplefilter("ignore", SecurityWarning)
            imported = importer.import_key(key)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refuse("A member of the key is missing or malformed", "یکی از اجزای کلید نیست یا نادرست است") from error
    _strong_enough(key, imported)
    return {name: value for name, value in key.items() if isinstance(value, str | list)}


def _strong_enough(key: dict[str, Any], imported: Any) -> None:
    kind = key["kty"]
    if kind == "EC" and key.get("crv") not in CURVES:
        raise _refuse("The curve must be P-256 or P-384", "خم باید P-256 یا P-384 باشد")
    if kind == "OKP" and key.get("crv") != "Ed25519":
        raise _refuse("The curve must be Ed25519", "خم باید Ed25519 باشد")
    if kind == "RSA" and imported.public_key.key_size < MIN_RSA_BITS:
        raise _refuse(f"An RSA key needs {MIN_RSA_BITS} bits or more", f"کلید RSA باید دست‌کم {MIN_RSA_BITS} بیت باشد")


def checked_uri(uri: str) -> str:
    """An https URL on a named host; what it resolves to is checked at every fetch. Raises UnusableKeys."""
    uri = uri.strip()
    try:
        parts = urlsplit(uri)
        fine = (
            parts.scheme == "https"
            and parts.hostname
            and parts.port in (None, 443)
            and not parts.username
            and "#" not in uri
        )
    except ValueError:
        fine = False
    if not fine or len(uri) > 255:
        raise UnusableKeys(
            "jwks_uri must be an https URL on port 443, without user name or fragment",
            fa="jwks_uri باید نشانی https روی درگاه ۴۴۳ و بدون نام کاربری و بخش # باشد",
            field="jwks_uri",
        )
    return uri
