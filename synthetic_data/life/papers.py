"""Notes, plans, goals, referrals: what is written down around care."""

from ..calendars import ISO
from ..fhir import documents
from .record import Run

GOALS = documents.GOALS


def note(run: Run, words: str) -> None:
    """Remember a sentence for the note of the open visit."""
    if run.life.visit is not None:
        run.life.visit.words.append(words)


def care_plan(run: Run, day: int, title: str) -> None:
    """Begin a care plan, once for each story and title."""
    key = f"plan:{title}"
    if run.life.visit is not None and key not in run.memory:
        run.memory[key] = True
        documents.write_plan(run, run.life.visit, title, ISO[day])


def goal(run: Run, day: int, key: str) -> None:
    """Agree on a goal, once."""
    if run.life.visit is not None and f"goal:{key}" not in run.memory:
        run.memory[f"goal:{key}"] = True
        documents.write_goal(run, key, ISO[day])


def refer(run: Run, day: int, specialty: str) -> None:
    """Refer the person to another field of practice."""
    if run.life.visit is not None:
        documents.write_referral(run, run.life.visit, specialty)
