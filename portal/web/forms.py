"""Forms of the pages: text fields of a request, folded, and the errors to show beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from portal.kernel.errors import Conflict, DomainError, Invalid
from portal.web.dependencies import AnyRequest
from portal.web.i18n import t


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed and what was wrong with it. `errors` maps a field to its message, in the order of the form."""

    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """The first value of `name`; empty when absent."""
        return self.values.get(name, "")

    def all(self, name: str) -> list[str]:
        """Every value of `name`: ticked boxes."""
        return self.choices.get(name, [])

    def refused(self, error: DomainError, *, hide: Sequence[str] = ("password", "current", "code")) -> Form:
        """This form with the messages of `error`, and without secrets that must not travel back."""
        found: tuple[DomainError, ...] = error.all if isinstance(error, Invalid) else (error,)
        messages = {item.field or "form": t(item.message_fa, item.message) for item in found}
        kept = {name: value for name, value in self.values.items() if name not in hide}
        return Form(kept, self.choices, messages)


REFUSALS = (Invalid, Conflict)


async def read_form(request: AnyRequest) -> Form:
    """The text fields of an urlencoded or multipart body; files are left out."""
    sent = await request.form()
    choices: dict[str, list[str]] = {}
    for name, value in sent.multi_items():
        if isinstance(value, str):
            choices.setdefault(name, []).append(value)
    return Form({name: values[0] for name, values in choices.items()}, choices)
