"""Why a call was answered as it was, and what to do about it: the verdict's code in words, in both languages."""

from __future__ import annotations

EXPLANATIONS: dict[str, tuple[str, str]] = {
    "admitted": ("پذیرفته و به مبادله فرستاده شد.", "Admitted and forwarded to the exchange."),
    "broken-off": (
        "پیش از پایان پاسخ، ارتباط بریده شد؛ برنامه رفت یا سرویس از کار ماند.",
        "The connection ended before the answer was whole: the app went away, or the service broke off.",
    ),
    "quota-exceeded": (
        "یکی از سقف‌های نرخ یا سهمیه پر شده بود. به اندازهٔ Retry-After بایستید و باز بفرستید؛ درخواست ردشده به حساب نمی‌آید.",
        "A rate limit or quota was used up. Wait as Retry-After says and send again; a refused call is never charged.",
    ),
    "insufficient-scope": (
        "توکن یا برنامه دامنهٔ لازم را ندارد. دامنه را هنگام گرفتن توکن بخواهید، یا آن را به برنامه بیفزایید.",
        "The token or the app lacks the scope. Ask for it when you get the token, or add it to the app.",
    ),
    "scope-suspended": (
        "این دامنه برای همهٔ برنامه‌ها موقتاً بسته است.",
        "This scope is cut for every app at present.",
    ),
    "no-subscription": (
        "برنامه روی هیچ طرحی از این محصول نیست. در «محصول‌ها و طرح‌ها» اشتراک بگیرید.",
        "The app is on no plan of this product. Subscribe under Products and plans.",
    ),
    "app-suspended": ("برنامه تعلیق شده است؛ دلیل در صفحهٔ برنامه هست.", "The app is suspended; its page tells why."),
    "app-limited": (
        "برنامه محدود شده است و تنها خواندن پذیرفته می‌شود.",
        "The app is limited: only reads are admitted.",
    ),
    "company-suspended": ("شرکت تعلیق شده است.", "The company is suspended."),
    "product-suspended": ("این محصول برای همه بسته است.", "This product is cut for every app."),
    "address-not-allowed": (
        "نشانی فرستنده در فهرست مجاز برنامه نیست.",
        "The caller's address is not on the app's allow-list.",
    ),
    "certificate-not-allowed": (
        "گواهی TLS ثبت‌شدهٔ برنامه همراه فراخوانی نبود.",
        "The call did not come with the app's registered TLS certificate.",
    ),
    "upstream-failed": (
        "سرویس پشت دروازه پاسخ نداد. از سهمیه کم نشد.",
        "The service behind the gateway failed. It was not charged to the quota.",
    ),
    "upstream-timeout": (
        "سرویس پشت دروازه به‌موقع پاسخ نداد. از سهمیه کم نشد.",
        "The service behind the gateway was too late. It was not charged to the quota.",
    ),
    "temporary-reduced-capacity": (
        "دروازه یا سرویس پشت آن موقتاً ظرفیت ندارد؛ کمی بعد باز بفرستید.",
        "The gateway or the service behind it has no capacity for the moment; send again a little later.",
    ),
    "body-too-large": ("بدنهٔ درخواست از اندازهٔ مجاز بزرگ‌تر بود.", "The body was larger than allowed."),
    "not-found": ("این مسیر هیچ سرویسی ندارد.", "Nothing answers at this path."),
}
POLICIES: dict[str, tuple[str, str]] = {
    "burst": ("سقف در ثانیه", "calls a second"),
    "sustained": ("سقف در دقیقه", "calls a minute"),
    "concurrent": ("فراخوانی هم‌زمان", "calls in flight"),
    "day": ("سهمیهٔ روز", "quota of the day"),
    "month": ("سهمیهٔ ماه", "quota of the month"),
}


def explain(code: str, detail: str) -> tuple[str, str]:
    """Persian and English; the gateway's own words where the code has none."""
    return EXPLANATIONS.get(code, (detail or code, detail or code))


def policy_name(name: str) -> tuple[str, str]:
    """Persian and English name of a policy."""
    return POLICIES.get(name, (name, name))
