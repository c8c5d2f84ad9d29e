"""Teleconsultation (مشاورهٔ از راه دور): a Task for the request, a virtual Encounter for the talk.

http://hl7.org/fhir/R4/task.html. The Encounter (class VR) carries the join link from the moment a practitioner accepts; messages
are Communications and the summary a DocumentReference, both within that Encounter.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any, Final

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import (
    ACT_CODE,
    ANSWER_BY,
    CATEGORY,
    JOIN_LINK,
    LOINC,
    Resource,
    concept,
    extension,
    has_code,
    set_extension,
)
from sandbox.workflows.records import Records, copy, id_of, need, patient_of, pointer, ref, stamp
from sandbox.workflows.task_machine import CLOCK_ONLY, Machine, arrow, states

ANSWER_TIME: Final = timedelta(minutes=30)
IDLE_TIME: Final = timedelta(hours=2)
CODE: Final = "teleconsultation"
MACHINE: Final = Machine(
    name="teleconsultation",
    subject="Task",
    initial=frozenset({"requested"}),
    states=states(
        ("requested", "درخواست‌شده"),
        ("accepted", "پذیرفته"),
        ("in-progress", "در جریان"),
        final=(
            ("completed", "پایان‌یافته"),
            ("rejected", "ردشده"),
            ("cancelled", "لغوشده"),
            ("failed", "بی‌پاسخ یا ناتمام"),
        ),
    ),
    transitions=(
        arrow("accept", "requested", "accepted", effect="a planned Encounter with the join link"),
        arrow("decline", "requested", "rejected", effect="the reason is kept in Task.statusReason"),
        arrow("start", "accepted", "in-progress", effect="Encounter in-progress"),
        arrow("finish", "in-progress", "completed", effect="Encounter finished; the summary is a DocumentReference"),
        arrow("cancel", "requested accepted", "cancelled", effect="Encounter cancelled"),
        arrow("time-out", "requested accepted in-progress", "failed", who=CLOCK_ONLY, effect="Encounter ended"),
    ),
)
_ENCOUNTER: Final = {
    "accepted": "planned",
    "in-progress": "in-progress",
    "completed": "finished",
    "cancelled": "cancelled",
    "failed": "cancelled",
}


def is_one(task: Resource) -> bool:
    """Whether a Task belongs to this Workflow."""
    return has_code(task.get("code"), CATEGORY, CODE)


async def request(records: Records, *, patient: str, practitioner: str, reason: str) -> Resource:
    """Ask a practitioner for a talk; unanswered after `ANSWER_TIME` it fails."""
    await need(records, patient, "Patient", where="patient")
    await need(records, practitioner, "Practitioner", where="practitioner")
    due = records.now + ANSWER_TIME
    task: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": concept(CATEGORY, CODE, "Teleconsultation"),
        "description": reason,
        "for": pointer(patient),
        "owner": pointer(practitioner),
        "authoredOn": stamp(records.now),
        "lastModified": stamp(records.now),
    }
    set_extension(task, ANSWER_BY, "Instant", stamp(due))
    saved = await records.save(task)
    await records.later(due, "teleconsultation.time-out", ref(saved), {"was": "requested"})
    records.tell("teleconsultation-requested", saved, {"answerBy": stamp(due)})
    return saved


async def step(records: Records, task: Resource, verb: str, *, reason: str = "", room: str = "") -> Resource:
    """Accept, decline, start, cancel or time out; the Encounter follows. `room` is the join link, on accept."""
    if not is_one(task):
        raise UnprocessableError(
            Text(f"{ref(task)} is no teleconsultation.", f"«{ref(task)}» درخواست مشاورهٔ از راه دور نیست."),
            expression=("Task.code",),
        )
    task = copy(task)
    was = task["status"]
    task["status"] = MACHINE.fire(verb, was, who=records.actor, now=records.now, subject=ref(task))
    task["lastModified"] = stamp(records.now)
    if reason:
        task["statusReason"] = {"text": reason}
    if verb == "accept":
        encounter = await records.save(_encounter(task, room))
        task["encounter"] = pointer(ref(encounter))
    else:
        await _follow(records, task)
    saved = await records.save(task)
    if verb in {"accept", "start"}:
        due = records.now + IDLE_TIME
        await records.later(due, "teleconsultation.time-out", ref(saved), {"was": task["status"]})
    records.tell(f"teleconsultation-{_PAST[verb]}", saved, {"encounter": encounter_of(saved), "reason": reason})
    return saved


_PAST: Final = {
    "accept": "accepted",
    "decline": "declined",
    "start": "started",
    "finish": "finished",
    "cancel": "cancelled",
    "time-out": "timed-out",
}


def encounter_of(task: Resource) -> str:
    return str(task.get("encounter", {}).get("reference", ""))


def _encounter(task: Resource, room: str) -> Resource:
    encounter: Resource = {
        "resourceType": "Encounter",
        "status": "planned",
        "class": {"system": ACT_CODE, "code": "VR", "display": "virtual"},
        "subject": task["for"],
        "participant": [{"individual": task["owner"]}],
        "reasonCode": [{"text": task.get("description", "Teleconsultation")}],
    }
    if room:
        set_extension(encounter, JOIN_LINK, "Url", room)
    return encounter


async def _follow(records: Records, task: Resource) -> None:
    """Bring the Encounter into the status that its Task's state calls for."""
    found = await records.find_one("Encounter", id_of(encounter_of(task), "Encounter"))
    if found is None:
        return
    encounter = copy(found) | {"status": _ENCOUNTER[task["status"]]}
    if task["status"] == "in-progress":
        encounter["period"] = {"start": stamp(records.now)}
    elif "period" in encounter:
        encounter["period"] = encounter["period"] | {"end": stamp(records.now)}
    await records.save(encounter)


async def say(records: Records, task: Resource, *, text: str, sender: str = "", attachment: Any = None) -> Resource:
    """A message in a running talk, with an optional Attachment (contentType and data, at most 1 MiB)."""
    if task["status"] != "in-progress":
        raise MACHINE.refusal("say", task["status"], subject=ref(task), who=records.actor)
    payload: list[Resource] = [{"contentString": text}] if text else []
    if attachment is not None:
        payload.append({"contentAttachment": _checked(attachment)})
    if not payload:
        raise UnprocessableError(
            Text("A message needs text or an attachment.", "پیام باید متن یا پیوست داشته باشد."), expression=("text",)
        )
    message: Resource = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [concept(CATEGORY, CODE)],
        "subject": task["for"],
        "encounter": pointer(encounter_of(task)),
        "sent": stamp(records.now),
        "payload": payload,
    }
    if sender:
        message["sender"] = pointer(sender)
    saved = await records.save(message)
    records.tell("teleconsultation-message", task, {"communication": ref(saved), "sender": sender})
    return saved


def _checked(attachment: Any) -> Resource:
    try:
        size = len(base64.b64decode(attachment["data"], validate=True))
        kind = str(attachment["contentType"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnprocessableError(
            Text(
                "An attachment needs contentType and base64 data.", "پیوست باید contentType و دادهٔ base64 داشته باشد."
            ),
            expression=("attachment",),
        ) from error
    if size > 1 << 20:
        raise UnprocessableError(
            Text("An attachment may be at most 1 MiB.", "پیوست حداکثر یک مبی‌بایت است."),
            code="too-long",
            expression=("attachment",),
        )
    return {"contentType": kind, "data": attachment["data"], "size": size} | (
        {"title": attachment["title"]} if attachment.get("title") else {}
    )


async def finish(records: Records, task: Resource, *, summary: str, follow_up: str = "") -> Resource:
    """End the talk with a summary note and, when asked, a follow-up order (ServiceRequest)."""
    task = copy(task)
    MACHINE.fire("finish", task["status"], who=records.actor, now=records.now, subject=ref(task))
    note = await records.save(_note(records, task, summary))
    outputs = [{"type": {"text": "summary"}, "valueReference": pointer(ref(note))}]
    if follow_up:
        order = await records.save(_order(records, task, follow_up))
        outputs.append({"type": {"text": "follow-up"}, "valueReference": pointer(ref(order))})
    return await step(records, task | {"output": outputs}, "finish")


def _note(records: Records, task: Resource, summary: str) -> Resource:
    data = base64.b64encode(summary.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": concept(LOINC, "34133-9", "Summarization of episode note"),
        "subject": task["for"],
        "date": stamp(records.now),
        "author": [task["owner"]],
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}],
        "context": {"encounter": [pointer(encounter_of(task))]},
    }


def _order(records: Records, task: Resource, text: str) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": text},
        "subject": task["for"],
        "encounter": pointer(encounter_of(task)),
        "requester": task["owner"],
        "authoredOn": stamp(records.now),
    }


async def time_out(records: Records, task: Resource, data: dict[str, Any]) -> Resource | None:
    """Timer: fail a request nobody answered, or a talk nobody ended, unless it has moved on."""
    if task["status"] != data.get("was"):
        return None
    return await step(records, task, "time-out", reason="The time to answer has passed.")


def join_link(encounter: Resource) -> str:
    """The simulated room's address; empty before a practitioner accepted."""
    return str(extension(encounter, JOIN_LINK) or "")


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a teleconsultation's Task."""
    if before is None:
        MACHINE.start(str(new.get("status", "")), subject="Task")
        return
    was = before["status"]
    arrow_taken = MACHINE.follow(was, new["status"], who=records.actor, now=records.now, subject=ref(before))
    if arrow_taken is not None and arrow_taken.name in {"accept", "finish"}:
        raise UnprocessableError(
            Text(
                f"'{arrow_taken.name}' writes more than the Task: call Task/{before['id']}/${arrow_taken.name}.",
                f"گذار «{arrow_taken.name}» چند منبع را می‌نویسد؛ Task/{before['id']}/${arrow_taken.name} را فراخوانید.",
            ),
            code="business-rule",
            expression=("Task.status",),
        )
    if patient_of(new) != patient_of(before):
        raise UnprocessableError(
            Text("The patient of a teleconsultation cannot change.", "بیمار مشاوره تغییر نمی‌کند."),
            expression=("Task.for",),
        )
    if arrow_taken is not None:
        await _follow(records, new)


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a teleconsultation's Task: its event, and a new one's time limit."""
    if before is None:
        due = records.now + ANSWER_TIME
        await records.later(due, "teleconsultation.time-out", ref(saved), {"was": "requested"})
        records.tell("teleconsultation-requested", saved, {"answerBy": stamp(due)})
    elif before["status"] != saved["status"]:
        records.tell(f"teleconsultation-{_TOLD[saved['status']]}", saved, {})


_TOLD: Final = {"rejected": "declined", "in-progress": "started", "cancelled": "cancelled"}
