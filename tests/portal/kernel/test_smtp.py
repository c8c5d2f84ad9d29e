"""Mail leaves over SMTP as it was written."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy

import pytest

from portal.kernel.mail import Message
from portal.kernel.smtp import InvalidMailServer, MailServer, SmtpMailer, parse


async def mailbox(received: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Enough of RFC 5321 to take one message."""
    writer.write(b"220 test\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 go on\r\n")
            received.append(await reader.readuntil(b"\r\n.\r\n"))
        if verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        writer.write(b"250 ok\r\n")
    await writer.drain()
    writer.close()


async def test_a_persian_message_arrives_whole() -> None:
    received: list[bytes] = []
    server = await asyncio.start_server(lambda r, w: mailbox(received, r, w), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        mailer = SmtpMailer(MailServer(host="127.0.0.1", port=port))
        await mailer.send(Message(to="sara@example.ir", subject="دعوت به شرکت", text="سلام، این پیوند را باز کنید."))
    mail = message_from_bytes(received[0], policy=policy.default)
    assert mail["To"] == "sara@example.ir"
    assert mail["Subject"] == "دعوت به شرکت"
    assert "این پیوند را باز کنید" in mail.get_content()


def test_an_unusable_address_says_what_to_write() -> None:
    assert parse("smtp+starttls://u:p%40ss@mail.example.ir/?from=no-reply@example.ir") == MailServer(
        host="mail.example.ir",
        port=587,
        scheme="smtp+starttls",
        user="u",
        password="p@ss",
        sender="no-reply@example.ir",
    )
    with pytest.raises(InvalidMailServer, match="smtp://host:port"):
        parse("mail.example.ir")
