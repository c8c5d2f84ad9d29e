"""Referral (ارجاع) from level 1 to level 2: a ServiceRequest for what is asked, a Task for where it stands.

The specialist accepts or rejects, and answers with a note that goes back to the family physician.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import ANSWER_BY, CATEGORY, Resource, concept, has_code, set_extension
from sandbox.workflows.records import Records, copy, id_of, need, pointer, ref, stamp
from sandbox.workflows.task_machine import CLOCK_ONLY, Machine, arrow, states

ANSWER_TIME: Final = timedelta(days=7)
CODE: Final = "referral"
MACHINE: Final = Machine(
    name="referral",
    subject="Task",
    initial=frozenset({"requested"}),
    states=states(
        ("requested", "ارسال‌شده"),
        ("accepted", "پذیرفته"),
        final=(("completed", "پاسخ داده‌شده"), ("rejected", "ردشده"), ("cancelled", "لغوشده"), ("failed", "بی‌پاسخ")),
    ),
    transitions=(
        arrow("accept", "requested", "accepted"),
        arrow("reject", "requested", "rejected", effect="ServiceRequest revoked; the reason is in Task.statusReason"),
        arrow("answer", "accepted", "completed", effect="ServiceRequest completed; the answer is a Communication"),
        arrow("cancel", "requested accepted", "cancelled", effect="ServiceRequest revoked"),
        arrow("time-out", "requested", "failed", who=CLOCK_ONLY, effect="ServiceRequest revoked"),
    ),
)
_ORDER: Final = {"completed": "completed", "rejected": "revoked", "cancelled": "revoked", "failed": "revoked"}
_PAST: Final = {
    "accept": "accepted",
    "reject": "rejected",
    "answer": "answered",
    "cancel": "cancelled",
    "time-out": "timed-out",
}


def is_one(task: Resource) -> bool:
    """Whether a Task belongs to this Workflow."""
    return has_code(task.get("code"), CATEGORY, CODE)


async def refer(records: Records, *, patient: str, requester: str, to: str, reason: str) -> Resource:
    """Send a patient to a specialist or an organisation (`to`); unanswered for a week it fails."""
    await need(records, patient, "Patient", where="patient")
    await need(records, requester, "Practitioner", where="requester")
    await need(records, to, "Organization" if id_of(to, "Organization") else "Practitioner", where="to")
    order = await records.save(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "category": [concept("http://snomed.info/sct", "3457005", "Patient referral")],
            "code": {"text": reason},
            "subject": pointer(patient),
            "requester": pointer(requester),
            "performer": [pointer(to)],
            "authoredOn": stamp(records.now),
        }
    )
    due = records.now + ANSWER_TIME
    task: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": concept(CATEGORY, CODE, "Referral"),
        "focus": pointer(ref(order)),
        "for": pointer(patient),
        "requester": pointer(requester),
        "owner": pointer(to),
        "description": reason,
        "authoredOn": stamp(records.now),
        "lastModified": stamp(records.now),
    }
    set_extension(task, ANSWER_BY, "Instant", stamp(due))
    saved = await records.save(task)
    await records.later(due, "referral.time-out", ref(saved), {"was": "requested"})
    records.tell("referral-requested", saved, {"order": ref(order)})
    return saved


async def step(records: Records, task: Resource, verb: str, *, reason: str = "", answer: str = "") -> Resource:
    """Accept, reject, answer, cancel or time out."""
    if not is_one(task):
        raise UnprocessableError(
            Text(f"{ref(task)} is no referral.", f"«{ref(task)}» ارجاع نیست."), expression=("Task.code",)
        )
    task = copy(task)
    task["status"] = MACHINE.fire(verb, task["status"], who=records.actor, now=records.now, subject=ref(task))
    task["lastModified"] = stamp(records.now)
    if reason:
        task["statusReason"] = {"text": reason}
    if verb == "answer":
        note = await records.save(_note(records, task, answer))
        task["output"] = [{"type": {"text": "answer"}, "valueReference": pointer(ref(note))}]
    await _close(records, task)
    saved = await records.save(task)
    records.tell(f"referral-{_PAST[verb]}", saved, {"reason": reason, "answer": answer})
    return saved


def _note(records: Records, task: Resource, answer: str) -> Resource:
    if not answer:
        raise UnprocessableError(
            Text("The answer to a referral needs a text.", "پاسخ ارجاع باید متن داشته باشد."), expression=("answer",)
        )
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [concept(CATEGORY, CODE)],
        "subject": task["for"],
        "about": [task["focus"]],
        "sender": task["owner"],
        "recipient": [task["requester"]],
        "sent": stamp(records.now),
        "payload": [{"contentString": answer}],
    }


async def _close(records: Records, task: Resource) -> None:
    focus = str(task.get("focus", {}).get("reference", ""))
    order = await records.find_one("ServiceRequest", id_of(focus, "ServiceRequest"))
    if order is not None and task["status"] in _ORDER:
        await records.save(copy(order) | {"status": _ORDER[task["status"]]})


async def time_out(records: Records, task: Resource, data: dict[str, Any]) -> Resource | None:
    """Timer: fail a referral nobody answered."""
    if task["status"] != data.get("was"):
        return None
    return await step(records, task, "time-out", reason="The time to answer has passed.")


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a referral's Task."""
    if before is None:
        MACHINE.start(str(new.get("status", "")), subject="Task")
        return
    taken = MACHINE.follow(before["status"], new["status"], who=records.actor, now=records.now, subject=ref(before))
    if taken is not None and taken.name == "answer":
        raise UnprocessableError(
            Text(
                f"The answer is more than a status: call Task/{before['id']}/$answer.",
                f"پاسخ بیش از یک وضعیت است؛ Task/{before['id']}/$answer را فراخوانید.",
            ),
            code="business-rule",
            expression=("Task.status",),
        )
    if taken is not None:
        await _close(records, new)


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a referral's Task: its event, and a new one's time limit."""
    if before is None:
        await records.later(records.now + ANSWER_TIME, "referral.time-out", ref(saved), {"was": "requested"})
        records.tell("referral-requested", saved, {})
    elif before["status"] != saved["status"]:
        records.tell(f"referral-{saved['status']}", saved, {})
