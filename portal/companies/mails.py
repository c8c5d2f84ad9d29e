"""The mails of this room."""

from __future__ import annotations

from portal.kernel.mail import Message


def invitation(to: str, *, language: str, company: str, inviter: str, link: str) -> Message:
    """An invitation to join a Company."""
    if language == "en":
        text = (
            f"Hello,\n\n{inviter} invites you to join {company} on Gozar. The link works for 14 days; "
            f"sign in or sign up with this address:\n{link}\n"
        )
        return Message(to, f"Invitation to {company} on Gozar", text)
    text = (
        f"سلام\n\n{inviter} شما را به پیوستن به «{company}» در گذر دعوت کرده است. پیوند تا ۱۴ روز کار می‌کند؛ "
        f"با همین نشانی وارد شوید یا ثبت‌نام کنید:\n{link}\n"
    )
    return Message(to, f"دعوت به «{company}» در گذر", text)
