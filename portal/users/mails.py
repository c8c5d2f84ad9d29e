"""The mails of this room, in the reader's own language."""

from __future__ import annotations

from portal.kernel.mail import Message
from portal.users.models import User


def welcome(user: User, *, sign_in_url: str, link: str) -> Message:
    """After sign-up: where to sign in, and the link that confirms the address."""
    if user.language == "en":
        text = (
            f"Hello {user.name},\n\nyour account on Gozar is ready. Sign in here:\n{sign_in_url}\n\n"
            f"Confirm that this address is yours within three days; production access needs it:\n{link}\n"
        )
        return Message(user.email, "Welcome to Gozar", text)
    text = (
        f"{user.name}، سلام\n\nحساب شما در گذر آماده است. از این نشانی وارد شوید:\n{sign_in_url}\n\n"
        f"تا سه روز با این پیوند تأیید کنید که این نشانی از آن شماست؛ درخواست محیط عملیاتی به آن نیاز دارد:\n{link}\n"
    )
    return Message(user.email, "به گذر خوش آمدید", text)


def confirmation(user: User, *, link: str) -> Message:
    """The link that confirms an address, asked for again."""
    if user.language == "en":
        text = f"Hello {user.name},\n\nconfirm that this address is yours; the link works once and for three days:\n{link}\n"
        return Message(user.email, "Confirm your e-mail address", text)
    text = f"{user.name}، سلام\n\nبا این پیوند تأیید کنید که این نشانی از آن شماست؛ پیوند یک بار و تا سه روز کار می‌کند:\n{link}\n"
    return Message(user.email, "تأیید نشانی ایمیل", text)


def already_registered(user: User, *, sign_in_url: str) -> Message:
    """To the owner of an address that somebody has tried to register again."""
    if user.language == "en":
        text = (
            f"Hello {user.name},\n\nsomebody tried to sign up on Gozar with this address, which has an account already. "
            f"If it was you, sign in or ask for a new password:\n{sign_in_url}\n\nOtherwise you need do nothing.\n"
        )
        return Message(user.email, "You already have an account on Gozar", text)
    text = (
        f"{user.name}، سلام\n\nکسی کوشیده است با این نشانی در گذر ثبت‌نام کند، اما این نشانی از پیش حساب دارد. "
        f"اگر خودتان بوده‌اید، وارد شوید یا گذرواژهٔ تازه بخواهید:\n{sign_in_url}\n\nوگرنه لازم نیست کاری بکنید.\n"
    )
    return Message(user.email, "شما در گذر حساب دارید", text)


def password_reset(user: User, *, link: str) -> Message:
    """The link to choose a new password."""
    if user.language == "en":
        text = (
            f"Hello {user.name},\n\nchoose a new password here; the link works once and for an hour:\n{link}\n\n"
            "If you did not ask for this, ignore this mail: your password stays as it is.\n"
        )
        return Message(user.email, "A new password on Gozar", text)
    text = (
        f"{user.name}، سلام\n\nاز این پیوند گذرواژهٔ تازه برگزینید؛ پیوند یک بار و تا یک ساعت کار می‌کند:\n{link}\n\n"
        "اگر شما درخواست نکرده‌اید، این نامه را نادیده بگیرید؛ گذرواژه‌تان تغییری نمی‌کند.\n"
    )
    return Message(user.email, "گذرواژهٔ تازه برای گذر", text)
