"""Business errors, named for what went wrong; one mapper (`portal.web.problems`) knows HTTP.

DomainError
├── Invalid            400/422  a value that cannot be used; names its field
├── Unauthenticated    401      nobody is signed in
├── Forbidden          403      the caller may know it exists, but not do this
├── NotFound           404      absent, or hidden from this caller: the two look the same
└── Conflict           409      the state of things does not allow it now
"""

from __future__ import annotations


class DomainError(Exception):
    """Base of every error a service may raise.

    `code` is a stable kebab-case word (it ends the problem's `type` URI); `message_fa` is what a Persian page shows.
    """

    code = "domain-error"
    title = "Something went wrong"
    title_fa = "خطایی رخ داد"

    def __init__(self, message: str = "", *, fa: str = "", field: str = "") -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.message_fa = fa or self.title_fa
        self.field = field


class Invalid(DomainError):
    """A value that cannot be used; `field` names it."""

    code = "invalid"
    title = "A value cannot be used"
    title_fa = "مقدار واردشده پذیرفته نیست"

    def __init__(self, message: str = "", *, fa: str = "", field: str = "", others: tuple[Invalid, ...] = ()) -> None:
        super().__init__(message, fa=fa, field=field)
        self.others = others

    @property
    def all(self) -> tuple[Invalid, ...]:
        """This error and those found with it, in the order of the form."""
        return (self, *self.others)


class Unauthenticated(DomainError):
    code = "unauthenticated"
    title = "Sign in first"
    title_fa = "نخست وارد شوید"


class Forbidden(DomainError):
    code = "forbidden"
    title = "You may not do this"
    title_fa = "اجازهٔ این کار را ندارید"


class NotFound(DomainError):
    code = "not-found"
    title = "There is no such thing here"
    title_fa = "چنین چیزی در اینجا نیست"


class Conflict(DomainError):
    code = "conflict"
    title = "This cannot be done in the present state"
    title_fa = "در وضعیت کنونی این کار شدنی نیست"
