"""Access tokens: kept while they live, replaced when they die, holding no right that is not used."""

from __future__ import annotations

from portal.conformance.calls import Recording, parse_target
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

LETTERS = {"read": "r", "history": "r", "search": "s", "create": "c", "update": "u", "patch": "u", "delete": "d"}
CLINICAL = frozenset({"patient", "user", "system"})


@check("token-reuse")
def token_reuse(recording: Recording) -> Verdict:
    """One token serves until it is about to expire: not a new one for every call."""
    used = [call for call in recording.calls if call.token]
    tokens = list(dict.fromkeys(call.token for call in used))
    if len(used) < 5:
        return unseen(
            fa="برای داوری دست‌کم پنج فراخوان با توکن لازم است.",
            en="At least five calls with a token are needed to judge.",
        )
    span = (used[-1].at - used[0].at).total_seconds()
    refused = len({call.token for call in used if call.status == 401})
    # A process may restart, and a token may be replaced a minute before it ends.
    allowed = 2 + refused + int(span // max(recording.token_seconds - 60, 60))
    if len(tokens) > allowed:
        firsts = [next(call for call in used if call.token == token) for token in tokens]
        return failed(
            firsts,
            fa=f"{len(tokens)} توکن برای {len(used)} فراخوان گرفته شده است.",
            en=f"{len(tokens)} tokens were taken for {len(used)} calls.",
        )
    return passed(used)


@check("new-token-after-401")
def new_token_after_401(recording: Recording) -> Verdict:
    """After 401 a token is never sent again: a new one is taken, once."""
    refused = [(place, call) for place, call in enumerate(recording.calls) if call.status == 401 and call.token]
    if not refused:
        return unseen(fa="پاسخ 401 دیده نشد.", en="No 401 was seen.")
    wrong = [
        later
        for place, call in refused
        for later in recording.calls[place + 1 :]
        if later.token == call.token and later.knew(call)
    ]
    if wrong:
        return failed(wrong, fa="توکن ردشده دوباره فرستاده شده است.", en="A refused token was sent again.")
    if recording.calls[-1].status == 401:
        return failed(
            [recording.calls[-1]],
            fa="پس از 401 کار از سر گرفته نشده است.",
            en="After the 401 the work was not resumed.",
        )
    return passed(call for _, call in refused)


def _used(recording: Recording) -> dict[str, set[str]]:
    used: dict[str, set[str]] = {}
    for call in recording.calls:
        if not call.ok:
            continue
        letter = LETTERS.get(call.interaction)
        if letter and call.kind:
            kind = call.kind
            if call.where.id and call.interaction == "read" and parse_target(call.target).operation == "":
                segments = [part for part in call.target.partition("?")[0].split("/") if part]
                kind = (
                    segments[-1] if segments and segments[-1][0].isupper() and segments[-1] != call.where.id else kind
                )
            used.setdefault(kind, set()).add(letter)
        for found in call.resources():
            if found.get("resourceType") not in (None, "OperationOutcome", "Bundle"):
                used.setdefault(str(found["resourceType"]), set()).add("r" if call.interaction == "read" else "s")
        if call.interaction == "batch" and isinstance(call.body, dict):
            for entry in call.body.get("entry") or ():
                asked = entry.get("request", {}) if isinstance(entry, dict) else {}
                inner = parse_target(str(asked.get("url", "")))
                if inner.kind:
                    letter = {"POST": "c", "PUT": "u", "DELETE": "d", "PATCH": "u"}.get(str(asked.get("method")), "r")
                    used.setdefault(inner.kind, set()).add(letter)
    return used


@check("least-scope")
def least_scope(recording: Recording) -> Verdict:
    """Each scope was used, for reading and for writing as far as it opens them: a right that nothing needs is not asked for."""
    wanted = sorted(scope for scope in recording.scopes if scope.partition("/")[0] in CLINICAL and "." in scope)
    if not wanted or not any(call.ok for call in recording.calls):
        return unseen(
            fa="فراخوان موفقی برای سنجش دامنه‌ها دیده نشد.", en="No successful call was seen to weigh scopes by."
        )
    used = _used(recording)
    idle = [scope for scope in wanted if not _needed(scope, used)]
    if idle:
        return failed(
            [],
            fa=f"این دامنه‌ها به کار نرفته‌اند: {'، '.join(idle)}",
            en=f"These scopes were never used: {', '.join(idle)}",
        )
    return passed(call for call in recording.calls if call.ok)


def _needed(scope: str, used: dict[str, set[str]]) -> bool:
    """Whether calls used what a scope opens: reading (r, s) where it lets read, writing (c, u, d) where it lets write."""
    kind, _, letters = scope.partition("/")[2].partition(".")
    if kind == "*":
        return True  # `no-wildcard-scope` speaks of it.
    letters = {"read": "rs", "write": "cud", "*": "cruds"}.get(letters, letters.partition("?")[0])
    seen = used.get(kind, set())
    return all(seen & set(group) for group in ("rs", "cud") if set(letters) & set(group))


@check("no-wildcard-scope")
def no_wildcard_scope(recording: Recording) -> Verdict:
    """`*` for the resource type opens more than any one Product needs."""
    if not recording.scopes:
        return unseen(fa="دامنه‌ای در دست نیست.", en="No scope is held.")
    wild = sorted(scope for scope in recording.scopes if "/*." in scope)
    if wild:
        return failed([], fa=f"دامنهٔ فراگیر: {'، '.join(wild)}", en=f"Wildcard scopes: {', '.join(wild)}")
    return passed([])


@check("respects-scope-refusal")
def respects_scope_refusal(recording: Recording) -> Verdict:
    """After `insufficient-scope` the App does not try the same type and interaction again in this run."""
    refused = [(place, call) for place, call in enumerate(recording.calls) if call.code == "insufficient-scope"]
    if not recording.calls:
        return unseen(fa="هیچ فراخوانی دیده نشد.", en="No call was seen.")
    wrong = [
        later
        for place, call in refused
        for later in recording.calls[place + 1 :]
        if later.code == "insufficient-scope"
        and (later.kind, later.interaction) == (call.kind, call.interaction)
        and later.knew(call)
    ]
    if wrong:
        return failed(wrong, fa="فراخوان بیرون از دامنه تکرار شده است.", en="A call outside the scopes was repeated.")
    return passed(call for _, call in refused)
