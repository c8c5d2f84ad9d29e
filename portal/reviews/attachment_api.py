"""JSON routes for the documents of a request: the body of the upload is the PDF itself, its name a query parameter."""

from __future__ import annotations

from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery

from portal.reviews import attachments, queries
from portal.reviews.attachment_pages import UPLOAD, document
from portal.reviews.dependencies import BlobsPort
from portal.reviews.schemas import AttachmentInfo
from portal.users.dependencies import AnyRequest, CurrentUser
from portal.users.guards import signed_in
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now


@get("/reviews/{review_id:str}/attachments", responses=problems(401, 404))
async def listed(review_id: FromPath[str], user: CurrentUser, session: Db) -> list[AttachmentInfo]:
    """Documents of a request, oldest first, for its Company and the desk."""
    request = await queries.visible(session, review_id, user)
    return [AttachmentInfo.of(row) for row in await queries.attachments(session, request.id)]


@post(
    "/reviews/{review_id:str}/attachments/{question:str}",
    guards=[signed_in],
    request_max_body_size=UPLOAD,
    opt={"body": "application/pdf"},
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
async def add(
    request: AnyRequest,
    review_id: FromPath[str],
    question: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    blobs: BlobsPort,
    name: FromQuery[str] = "document.pdf",
) -> AttachmentInfo:
    """Answer a question of kind `file`: send the PDF as the body (`application/pdf`), at most 10 MB."""
    review = await queries.visible(session, review_id, user)
    made = await attachments.add(
        session,
        review,
        question=question,
        name=name,
        content=await request.body(),
        blobs=blobs,
        by=user,
        now=now,
    )
    return AttachmentInfo.of(made)


@get(
    "/reviews/{review_id:str}/attachments/{attachment_id:str}/content",
    media_type="application/pdf",
    responses=problems(401, 404),
)
async def content(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, blobs: BlobsPort
) -> Response[bytes]:
    """The document itself, as a download."""
    request = await queries.visible(session, review_id, user)
    return await document(session, request, attachment_id, blobs)


@delete("/reviews/{review_id:str}/attachments/{attachment_id:str}", responses=problems(401, 403, 404, 409))
async def remove(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> None:
    """Take a document off a draft."""
    request = await queries.visible(session, review_id, user)
    await attachments.remove(session, request, attachment_id, by=user, now=now)


routes = [api(listed, add, content, remove, tag="reviews")]
