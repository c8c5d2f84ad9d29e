"""The checks of admission that need no counters: standing of the App, and the rights of token and App."""

from __future__ import annotations

from portal.apps.models import AccessStatus
from portal.companies.models import CompanyStatus
from portal.gateway import scopes, verdicts
from portal.gateway.access import Access, Terms
from portal.gateway.calls import Call
from portal.gateway.interactions import Interaction
from portal.gateway.tokens import Claims
from portal.gateway.verdicts import Refused


def standing(access: Access, interaction: Interaction) -> Refused | None:
    """Refuse what the standing of Company or App forbids."""
    if access.company_status == CompanyStatus.SUSPENDED:
        return verdicts.forbidden(
            "company-suspended",
            "The Company is suspended",
            "Calls of this Company's Apps are not admitted",
            "شرکت تعلیق شده است",
            "فراخوانی برنامه‌های این شرکت پذیرفته نمی‌شود",
        )
    if AccessStatus.SUSPENDED in (access.app_status, access.status):
        return verdicts.forbidden(
            "app-suspended",
            "The App is suspended",
            access.reason or "Calls of this App are not admitted",
            "برنامه تعلیق شده است",
            access.reason or "فراخوانی این برنامه پذیرفته نمی‌شود",
        )
    if access.limited and interaction.writes:
        return verdicts.forbidden(
            "app-limited",
            "The App is limited to reading",
            access.reason or "Only reads are admitted at present",
            "برنامه به خواندن محدود شده است",
            access.reason or "اکنون تنها خواندن پذیرفته می‌شود",
        )
    return None


def fhir_right(call: Call, claims: Claims, access: Access, interaction: Interaction) -> Refused | None:
    """Token and App must both hold the right: a scope withdrawn from the App after the token was issued no longer works."""
    kind, letters = interaction.kind, interaction.needed
    held = access.allows(claims.scopes, kind, letters)
    if held and access.cut:
        left = scopes.granted_without(claims.scopes, access.cut, kind) & letters
        if not left or not scopes.granted_without(access.scopes, access.cut, kind) & letters:
            return _cut()
    if held:
        return None
    return verdicts.insufficient_scope(call.environment, scopes.spelled(kind, letters))


def partner_right(call: Call, claims: Claims, access: Access, terms: Terms) -> Refused | None:
    """A partner Product with scopes of its own asks for at least one of them, in the token and granted to the App."""
    wanted = terms.product_scopes
    if not wanted or (wanted.intersection(claims.scopes) - access.cut and wanted.intersection(access.scopes)):
        return None
    needed = " ".join(sorted(wanted))
    if wanted & access.cut:
        return _cut()
    return verdicts.insufficient_scope(call.environment, needed)


def subscribed(terms: Terms | None, product: str) -> Refused | None:
    """Without a Subscription nothing counts the call, so nothing may admit it."""
    if terms is None:
        what = f"the Product {product}" if product else "any Product"
        return verdicts.forbidden(
            "no-subscription",
            "There is no Subscription for this",
            f"The App has no Subscription to {what}",
            "برای این فراخوانی اشتراکی نیست",
            f"برنامه اشتراک محصول {product} را ندارد" if product else "برنامه اشتراک هیچ محصولی را ندارد",
        )
    if terms.suspended:
        return verdicts.forbidden(
            "product-suspended",
            "The Product is suspended",
            f"No App may call {terms.product_id} at present",
            "این محصول بسته است",
            f"اکنون هیچ برنامه‌ای نمی‌تواند {terms.product_id} را فراخواند",
        )
    return None


def _cut() -> Refused:
    return verdicts.forbidden(
        "scope-suspended",
        "The scope is suspended",
        "No App may use this scope at present",
        "این دامنهٔ دسترسی بسته است",
        "اکنون هیچ برنامه‌ای نمی‌تواند این دامنه را به کار برد",
    )
