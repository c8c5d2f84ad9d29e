"""JSON routes for the Company: its requests for production, from draft to appeal."""

from __future__ import annotations

from typing import Any

from litestar import get, patch, post
from litestar.params import FromPath, JSONBody

from portal.reviews import evidence, policy, presentation, queries, questionnaire, service
from portal.reviews.cases import CASES, TheCase
from portal.reviews.schemas import (
    CaseEntry,
    CommentInfo,
    Draft,
    Grounds,
    Missing,
    NewComment,
    ReviewInfo,
    ReviewLine,
)
from portal.users.confirmation import must_be_confirmed
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now, ShellValues


@get("/questionnaire")
async def the_questionnaire() -> dict[str, Any]:
    """The questions of a request for production, by section, with what each accepts."""
    return {
        "policy_version": policy.current().version,
        "sections": [
            {
                "id": section.id,
                "title": {"fa": section.fa, "en": section.en},
                "questions": [
                    {
                        "id": question.id,
                        "kind": question.kind,
                        "label": {"fa": question.fa, "en": question.en},
                        "help": {"fa": question.help_fa, "en": question.help_en},
                        "min": question.min,
                        "max": question.max,
                        "must": question.must or None,
                        "optional": question.optional,
                        "when": dict(question.when),
                        "choices": [choice.id for choice in question.choices],
                    }
                    for question in section.questions
                ],
            }
            for section in questionnaire.sections()
        ],
    }


@post("/apps/{app_id:str}/reviews", responses=problems(401, 403, 404, 409))
async def start(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> ReviewInfo:
    """Start a request for production of an App; it holds the answers of the App's last request."""
    request = await service.start(session, app_id=app_id, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@get("/apps/{app_id:str}/reviews", responses=problems(401, 404))
async def of_app(app_id: FromPath[str], user: CurrentUser, session: Db) -> list[ReviewLine]:
    """Requests of an App, newest first."""
    return [ReviewLine.of(row) for row in await queries.of_app(session, app_id, user)]


@get("/reviews/mine", responses=problems(401))
async def mine(user: CurrentUser, session: Db) -> list[ReviewLine]:
    """Requests of all your Companies, latest change first."""
    return [ReviewLine.of(row) for row in await queries.of_member(session, user)]


@get("/reviews/{review_id:str}", responses=problems(401, 404))
async def one(review_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> ReviewInfo:
    """A request with its scopes, decisions and comments, its place in the queue and what comes next."""
    return await presentation.whole(session, await queries.visible(session, review_id, user), user, now=now)


@patch("/reviews/{review_id:str}", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def change(data: JSONBody[Draft], case: TheCase) -> ReviewInfo:
    """Save parts of a draft: answers (also incomplete ones), scopes with their justifications, App version, evidence."""
    if data.answers is not None:
        await service.save_answers(case.session, case.request, answers=dict(data.answers), by=case.by, now=case.now)
    if data.scopes is not None:
        await service.set_scopes(case.session, case.request, scopes=data.scopes, by=case.by, now=case.now)
    if data.app_version is not None:
        await service.set_version(case.session, case.request, version=data.app_version, by=case.by, now=case.now)
    if data.evidence is not None:
        await evidence.attach(case.session, case.request, evidence_id=data.evidence, by=case.by, now=case.now)
    return await case.shown()


@get("/reviews/{review_id:str}/missing", responses=problems(401, 404))
async def missing(review_id: FromPath[str], user: CurrentUser, session: Db) -> list[Missing]:
    """What submission would refuse at present, in the order of the task list."""
    request = await queries.visible(session, review_id, user)
    return [Missing(row.field, row.message, row.message_fa) for row in await service.missing(session, request)]


@post("/reviews/{review_id:str}/submit", status_code=200, responses=problems(401, 403, 404, 409, 422))
async def submit(case: TheCase, shell: ShellValues) -> ReviewInfo:
    """Hand the request to the ministry; its service clock starts."""
    must_be_confirmed(case.by, demanded=shell.confirm_email)
    await service.submit(case.session, case.request, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/withdraw", status_code=200, responses=problems(401, 403, 404, 409))
async def withdraw(case: TheCase) -> ReviewInfo:
    """Take an unfinished request back for good."""
    await service.withdraw(case.session, case.request, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/appeal", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def appeal(data: JSONBody[Grounds], case: TheCase) -> ReviewInfo:
    """Contest a rejection; the answer is the appeal, a request of its own that other reviewers decide."""
    made = await service.appeal(case.session, case.request, grounds=data.grounds, by=case.by, now=case.now)
    return await presentation.whole(case.session, made, case.by, now=case.now)


@post("/reviews/{review_id:str}/comments", responses=problems(400, 401, 404, 415, 422))
async def comment(
    review_id: FromPath[str], data: JSONBody[NewComment], user: CurrentUser, session: Db, now: Now
) -> CommentInfo:
    """Say something about a request; `internal` is for reviewers."""
    request = await queries.visible(session, review_id, user)
    made = await service.comment(
        session, request, body=data.body, internal=data.internal, pin=data.pin, by=user, now=now
    )
    return CommentInfo.of(made)


@get("/reviews/{review_id:str}/record", responses=problems(401, 404))
async def record(review_id: FromPath[str], user: CurrentUser, session: Db) -> list[CaseEntry]:
    """The audit entries on this case, with their hashes: the applicant may check them against a signed checkpoint."""
    request = await queries.visible(session, review_id, user)
    return [CaseEntry.of(row) for row in await queries.case(session, request)]


routes = [
    api(
        the_questionnaire,
        start,
        of_app,
        mine,
        one,
        change,
        missing,
        submit,
        withdraw,
        appeal,
        comment,
        record,
        tag="reviews",
        dependencies=CASES,
    )
]
