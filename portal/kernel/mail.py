"""Mail as a port: services hand over a Message, the edge chooses who carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog

log = structlog.get_logger("gozar.mail")


@dataclass(frozen=True, slots=True)
class Message:
    """One plain-text mail to one address."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Carries a message, or hands it to whoever does."""

    async def send(self, message: Message) -> None: ...


class ConsoleMailer:
    """Writes each message to the log: the embedded default, so that a link can be followed without a mail server."""

    async def send(self, message: Message) -> None:
        log.info("mail", to=message.to, subject=message.subject, text=message.text)


class MemoryMailer:
    """Keeps what it was given, newest last."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)
