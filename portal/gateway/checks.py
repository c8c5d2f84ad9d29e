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
            "company-suspended", "The Company is suspended", "Calls of this Company's Apps are not admitted"
        )
    if AccessStatus.SUSPENDED in (access.app_status, access.status):
        return verdicts.forbidden(
            "app-suspended", "The App is suspended", access.reason or "Calls of this App are not admitted"
        )
    if access.limited and interaction.writes:
        return verdicts.forbidden(
            "app-limited", "The App is limited to reading", access.reason or "Only reads are admitted at present"
        )
    return None


def fhir_right(call: Call, claims: Claims, access: Access, interaction: Interaction) -> Refused | None:
    """Token and App must both hold the right: a scope withdrawn from the App after the token was issued no longer works."""
    kind, letters = interaction.kind, interaction.needed
    held = access.allows(claims.scopes, kind, letters)
    if held and access.cut:
        left = scopes.granted_without(claims.scopes, access.cut, kind) & letters
        if not left or not scopes.granted_without(access.scopes, access.cut, kind) & letters:
            return verdicts.forbidden(
                "scope-suspended", "The scope is suspended", "No App may use this scope at present"
            )
    if held:
        return None
    needed = scopes.spelled(kind, letters)
    return verdicts.insufficient_scope(call.environment, needed, f"this call needs a scope such as {needed}")


def partner_right(call: Call, claims: Claims, access: Access, terms: Terms) -> Refused | None:
    """A partner Product with scopes of its own asks for at least one of them, in the token and granted to the App."""
    wanted = terms.product_scopes
    if not wanted or (wanted.intersection(claims.scopes) - access.cut and wanted.intersection(access.scopes)):
        return None
    needed = " ".join(sorted(wanted))
    if wanted & access.cut:
        return verdicts.forbidden("scope-suspended", "The scope is suspended", "No App may use this scope at present")
    return verdicts.insufficient_scope(call.environment, needed, f"this call needs a scope such as {needed}")


def subscribed(terms: Terms | None, product: str) -> Refused | None:
    """Without a Subscription nothing counts the call, so nothing may admit it."""
    if terms is None:
        what = f"the Product {product}" if product else "any Product"
        return verdicts.forbidden(
            "no-subscription", "There is no Subscription for this", f"The App has no Subscription to {what}"
        )
    if terms.suspended:
        return verdicts.forbidden(
            "product-suspended", "The Product is suspended", f"No App may call {terms.product_id} at present"
        )
    return None
