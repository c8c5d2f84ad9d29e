"""Documents of a request: PDF only, by its bytes and not by its name; downloaded by its Company and the desk, nobody else."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.blobs import Blobs
from portal.kernel.errors import Invalid, NotFound
from portal.kernel.ids import new_id
from portal.reviews import guards, questionnaire
from portal.reviews.models import EDITABLE, Attachment, ReviewRequest
from portal.reviews.service import RequestClosed
from portal.users.models import User

MOST_BYTES = 10 * 1024 * 1024
MOST_FILES = 12


class NotPdf(Invalid):
    code = "not-a-pdf"
    title = "The file is not a PDF"
    title_fa = "این پرونده PDF نیست"


def checked(content: bytes, field: str) -> None:
    """Raise `NotPdf` or `Invalid` unless `content` is a PDF of bearable size (ISO 32000-1 §7.5.2, §7.5.5)."""
    if len(content) > MOST_BYTES:
        raise Invalid("A file may have 10 MB", fa="حجم پرونده حداکثر ۱۰ مگابایت است", field=field)
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-2048:]:
        raise NotPdf(fa="تنها پروندهٔ PDF سالم پذیرفته می‌شود", field=field)


def safe_name(name: str) -> str:
    """A file name without folders, control characters or quotes, ending in .pdf."""
    stem = re.sub(r"[\x00-\x1f\x7f\"'<>|:*?\\/]+", " ", name.rpartition("/")[2].rpartition("\\")[2]).strip(" .")
    stem = re.sub(r"\.pdf$", "", stem, flags=re.IGNORECASE)[:120] or "document"
    return f"{stem}.pdf"


async def add(
    session: AsyncSession,
    request: ReviewRequest,
    *,
    question: str,
    name: str,
    content: bytes,
    blobs: Blobs,
    by: User,
    now: datetime,
) -> Attachment:
    """Keep a document as the answer to a question of kind `file`."""
    await guards.may_edit(session, by, request.company_id)
    if request.status not in EDITABLE:
        raise RequestClosed
    known = questionnaire.questions().get(question)
    if known is None or known.kind != "file":
        raise NotFound
    field = f"answers.{question}"
    checked(content, field)
    count = await session.scalar(
        select(func.count()).where(Attachment.request_id == request.id, Attachment.removed_at.is_(None))
    )
    if (count or 0) >= MOST_FILES:
        raise Invalid(f"At most {MOST_FILES} files", fa="حداکثر ۱۲ پرونده", field=field)
    made = Attachment(
        id=new_id("att"),
        request_id=request.id,
        question=question,
        name=safe_name(name),
        size=len(content),
        sha256=await blobs.put(content),
        uploaded_by=by.id,
        uploaded_at=now,
    )
    session.add(made)
    request.answers = {**request.answers, question: made.sha256}
    request.updated_at = now
    await session.flush()
    return made


async def remove(session: AsyncSession, request: ReviewRequest, attachment_id: str, *, by: User, now: datetime) -> None:
    """Take a document off a draft; its bytes stay for the requests that still name them."""
    await guards.may_edit(session, by, request.company_id)
    if request.status not in EDITABLE:
        raise RequestClosed
    found = await get(session, request, attachment_id)
    found.removed_at = now
    request.answers = {key: value for key, value in request.answers.items() if key != found.question}
    request.updated_at = now


async def get(session: AsyncSession, request: ReviewRequest, attachment_id: str) -> Attachment:
    """A document of this request that was not removed; raises NotFound."""
    found = await session.get(Attachment, attachment_id)
    if found is None or found.request_id != request.id or found.removed_at is not None:
        raise NotFound
    return found
