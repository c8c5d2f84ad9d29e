"""Mail over SMTP: `smtp://`, `smtps://` (TLS from the start) or `smtp+starttls://`, as GOZAR_SMTP_URL says."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from urllib.parse import unquote, urlsplit

from portal.kernel.mail import Message

SCHEMES = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
PATIENCE = 15.0


class InvalidMailServer(ValueError):
    """GOZAR_SMTP_URL cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out."""

    host: str
    port: int
    scheme: str = "smtp"
    user: str = ""
    password: str = ""
    sender: str = "gozar@localhost"


def parse(url: str) -> MailServer:
    """`scheme://user:password@host:port/?from=gozar@example.ir`; raises InvalidMailServer."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise InvalidMailServer(f"GOZAR_SMTP_URL must look like smtp://host:port, with one of {', '.join(SCHEMES)}")
    sender = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair).get("from", "")
    return MailServer(
        host=parts.hostname,
        port=parts.port or SCHEMES[parts.scheme],
        scheme=parts.scheme,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        sender=unquote(sender) or f"gozar@{parts.hostname}",
    )


class SmtpMailer:
    """Hands each message to the server, in a thread: the standard library's client blocks."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, message: Message) -> None:
        await asyncio.to_thread(self._deliver, message)

    def _deliver(self, message: Message) -> None:
        server = self._server
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = server.sender, message.to, message.subject
        mail["Message-ID"] = make_msgid(domain=server.host)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        context = ssl.create_default_context()
        if server.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=PATIENCE, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=PATIENCE)
        with client:
            if server.scheme == "smtp+starttls":
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password)
            client.send_message(mail)
