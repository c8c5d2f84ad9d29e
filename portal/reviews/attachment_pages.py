"""Documents of a request by page: uploading and removing on a draft, downloading for the Company and the desk."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.blobs import Blobs
from portal.kernel.errors import Invalid, NotFound
from portal.reviews import attachments, queries, questionnaire
from portal.reviews.dependencies import BlobsPort
from portal.reviews.draft_pages import questions_form
from portal.reviews.models import Attachment, ReviewRequest
from portal.reviews.own_requests import again, draft
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS
from portal.web.pages import pages, see
from portal.web.visit import Notice

# The form around the file takes some bytes too.
UPLOAD = attachments.MOST_BYTES + 256 * 1024


@post("/reviews/{review_id:str}/upload/{question:str}", request_max_body_size=UPLOAD)
async def upload(
    request: AnyRequest,
    review_id: FromPath[str],
    question: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
    blobs: BlobsPort,
) -> Template | Redirect:
    """Keep a PDF as the answer to a question; what is wrong with it is said beside the field."""
    review, context = await draft(session, review_id, user)
    known = questionnaire.questions().get(question)
    if known is None:
        raise NotFound
    section = questionnaire.section(known.section)
    if section is None:
        raise NotFound
    sent = (await request.form()).get("file")
    try:
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise Invalid("Choose a PDF file first", fa="نخست یک پروندهٔ PDF برگزینید", field=f"answers.{question}")
        await attachments.add(
            session,
            review,
            question=question,
            name=sent.filename,
            content=await sent.read(),
            blobs=blobs,
            by=user,
            now=now,
        )
    except REFUSALS as error:
        review, context = await again(session, review_id, user)
        return await questions_form(session, review, section, context, refused=error)
    tell(Notice("success", "پرونده نگه داشته شد.", "The file is kept."))
    return see(f"/reviews/{review.id}/questions/{known.section}")


@post("/reviews/{review_id:str}/files/{attachment_id:str}/removal")
async def remove_file(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Redirect:
    """Take a document off the draft."""
    review, _ = await draft(session, review_id, user)
    found = await attachments.get(session, review, attachment_id)
    await attachments.remove(session, review, attachment_id, by=user, now=now)
    return see(f"/reviews/{review.id}/questions/{questionnaire.questions()[found.question].section}")


@get("/reviews/{review_id:str}/files/{attachment_id:str}")
async def download(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, blobs: BlobsPort
) -> Response[bytes]:
    """A document, for its Company and the desk; never shown inside a page of ours."""
    review = await queries.visible(session, review_id, user)
    return await document(session, review, attachment_id, blobs)


async def document(session: AsyncSession, review: ReviewRequest, attachment_id: str, blobs: Blobs) -> Response[bytes]:
    """A document's bytes as a download that no browser runs or shows in place; raises NotFound."""
    found = await attachments.get(session, review, attachment_id)
    content = await blobs.get(found.sha256)
    if content is None:
        raise NotFound
    return Response(content, media_type="application/pdf", headers=_headers(found))


def _headers(found: Attachment) -> dict[str, str]:
    # RFC 6266 §4.3: the plain name for old programs, the real one percent-encoded.
    names = f"filename=\"{found.id}.pdf\"; filename*=UTF-8''{quote(found.name, safe='')}"
    return {
        "content-disposition": f"attachment; {names}",
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }


routes: Sequence[Router] = pages(upload, remove_file, download, guards=[signed_in])
