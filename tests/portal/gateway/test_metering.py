"""Nothing that was answered is lost, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.apps.secrets import new_secret
from portal.gateway.calls import Call
from portal.gateway.journal import Journal
from portal.gateway.leases import Lease
from portal.gateway.metering import JournalMeter
from portal.kernel.database import SessionMaker
from portal.traffic.entries import decode_all, encode
from portal.traffic.models import CallBody, CallRecord
from portal.traffic.redaction import redact
from portal.usage.models import UsageHour, UsageRecord
from portal.usage.windows import window
from tests.portal.gateway.rig import NOW, Rig, access, terms

Both = tuple[AsyncEngine, SessionMaker]


def ended(number: int, *, environment: str = "sandbox", code: str = "admitted", status: int = 200) -> Call:
    call = Call(f"c{number}", f"r{number}", "GET", environment, 1_000)
    call.access, call.terms, call.product = access(environment=environment), terms(), "health-record"
    call.template, call.interaction, call.code, call.status = "/Patient/{id}", "read", code, status
    call.ended = 421_000
    call.target = "/sandbox/fhir/R4/Patient?identifier=0012345679"
    if code == "admitted":
        call.forwarded, call.answered = 21_000, 321_000
        call.lease = Lease("month", window("month", NOW), 10)
    return call


async def count(maker: SessionMaker) -> tuple[int, int, int]:
    """Calls in the ledger, calls in the request log, calls in the hourly sums."""
    async with maker() as session:
        ledger = await session.scalar(select(func.coalesce(func.sum(UsageRecord.calls), 0)))
        log = await session.scalar(select(func.count()).select_from(CallRecord))
        hours = await session.scalar(select(func.coalesce(func.sum(UsageHour.admitted + UsageHour.refused), 0)))
    return int(ledger or 0), int(log or 0), int(hours or 0)


async def test_a_flush_writes_ledger_log_and_sums_once(both: Both, tmp_path: Path) -> None:
    meter = JournalMeter(Journal(tmp_path / "j"), both[1], now=lambda: NOW)
    for number in range(5):
        meter.count(ended(number))
    meter.count(ended(5, code="quota-exceeded", status=429))
    meter.count(ended(6, code="insufficient-scope", status=403))
    assert await meter.flush() == 7
    assert await meter.flush() == 0
    assert await count(both[1]) == (5, 7, 7)
    async with both[1]() as session:
        hour = (await session.scalars(select(UsageHour))).one()
        assert (hour.admitted, hour.limited, hour.refused, hour.duration_us) == (5, 1, 2, 7 * 420)
        record = (await session.scalars(select(CallRecord).where(CallRecord.id == "c0"))).one()
        assert (record.gateway_us, record.upstream_us, record.duration_us) == (20, 300, 420)
        assert record.target == "/sandbox/fhir/R4/Patient?identifier=[national code]"
    meter.count(ended(7))
    await meter.close()
    assert await count(both[1]) == (6, 8, 8)
    assert list((tmp_path / "j").iterdir()) == []


async def test_a_batch_that_was_written_but_not_yet_deleted_is_not_counted_again(both: Both, tmp_path: Path) -> None:
    folder = tmp_path / "j"
    meter = JournalMeter(Journal(folder), both[1], now=lambda: NOW)
    meter.count(ended(1))
    path = next(folder.iterdir())
    shutil.copy(path, tmp_path / path.name)
    await meter.close()
    shutil.copy(tmp_path / path.name, path)
    again = JournalMeter(Journal(folder), both[1], now=lambda: NOW)
    assert again.recover() == 1
    await again.close()
    assert await count(both[1]) == (1, 1, 1)


async def test_a_database_that_fails_loses_nothing(sqlite: Both, tmp_path: Path) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    engine, maker = sqlite
    meter = JournalMeter(Journal(tmp_path / "j"), maker, now=lambda: NOW)
    meter.count(ended(1))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE call_records RENAME TO away"))
    try:
        await meter.flush()
        raise AssertionError("the flush should have failed")
    except SQLAlchemyError:
        pass
    meter.count(ended(2))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO call_records"))
    assert await meter.flush() == 2
    assert await count(maker) == (2, 2, 2)
    await meter.close()


VICTIM = """
import sys
from pathlib import Path
from portal.gateway.journal import Journal
from portal.traffic.entries import encode
from portal.gateway.metering import entry_of
from tests.portal.gateway.test_metering import ended
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    journal.append(encode(entry_of(ended(number), 1)))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


async def test_kill_9_loses_no_call_whose_answer_was_complete(sqlite: Both, tmp_path: Path) -> None:
    folder = tmp_path / "j"
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, str(folder), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert victim.stdout is not None
    for _ in range(200):
        await victim.stdout.readline()
    alive = Journal(folder)
    assert alive.adopt() == 0, "a living worker's journal was taken"
    os.kill(victim.pid, signal.SIGKILL)
    answered = 200 + len((await victim.stdout.read()).splitlines())
    await victim.wait()
    meter = JournalMeter(Journal(folder), sqlite[1], now=lambda: NOW)
    assert meter.recover() == 1
    await meter.flush()
    ledger, _, _ = await count(sqlite[1])
    assert answered <= ledger <= answered + 1  # the kill may fall between the journal and the answer
    await meter.close()


def test_a_full_journal_file_goes_on_in_the_next_and_every_line_is_handed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", size=100)
    lines = [f"line {number} {'x' * (number * 7 % 60)}\n".encode() for number in range(40)] + [b"y" * 300 + b"\n"]
    for line in lines:
        journal.append(line)
    journal.cut()
    assert sorted(b"".join(text for _, text in journal.ready()).splitlines(True)) == sorted(lines)
    journal.close()


def test_a_line_torn_by_a_crash_is_left_out() -> None:
    from portal.gateway.metering import entry_of

    line = encode(entry_of(ended(1), 1))
    assert [entry.id for entry in decode_all(line + line[: len(line) // 2])] == ["c1"]


async def test_bodies_are_kept_in_the_sandbox_redacted_and_never_in_production(sqlite: Both, tmp_path: Path) -> None:
    rig = Rig()
    rig.gateway._meter = JournalMeter(Journal(tmp_path / "j"), sqlite[1], now=lambda: NOW)
    body = b'{"identifier":[{"value":"0012345679"}],"client_secret":"hush","note":"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.x"}'
    json = [(b"content-type", b"application/fhir+json")]
    await rig.call("/sandbox/fhir/R4/Patient", "POST", body=body, headers=json)
    await rig.gateway._meter.flush()
    async with sqlite[1]() as session:
        kept = (await session.scalars(select(CallBody))).one()
    for secret in ("0012345679", "hush", "eyJ"):
        assert secret not in kept.request
        assert secret not in kept.response
    assert "[national code]" in kept.request
    await rig.gateway._meter.close()


def test_redaction_leaves_ordinary_numbers_alone() -> None:
    assert redact('"code":"female"&n=12345678901') == '"code":"female"&n=12345678901'
    assert redact("Authorization: Bearer abc") == "Authorization: Bearer [redacted]"
    secret = new_secret("sandbox")
    assert secret[4:] not in redact(f'{{"x":"{secret}"}}')
    assert redact("value 1234567890") == "value 1234567890"
    assert redact("کد ملی ۰۰۱۲۳۴۵۶۷۹") == "کد ملی [national code]"
