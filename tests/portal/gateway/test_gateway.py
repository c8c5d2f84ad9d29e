"""What the gateway promises about one call."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from portal.apps.models import AccessStatus
from portal.companies.models import CompanyStatus
from portal.conformance.rehearsals import Fault
from portal.gateway import verdicts
from portal.gateway.front import front
from portal.gateway.protection import Limits
from portal.gateway.upstream import InProcessUpstream, Receive, Scope, Send, UpstreamClosed, UpstreamFailed
from tests.portal.gateway.rig import FakeToken, Rig, access, drive, echo, terms

PATIENT = "/sandbox/fhir/R4/Patient/p1"


async def test_an_admitted_call_reaches_the_exchange_with_its_path_and_query_untouched() -> None:
    answer = await Rig().call("/sandbox/fhir/R4/Patient/a%2Db", query=b"_count=5&name=%D8%B9")
    assert answer.status == 200
    assert answer.json["raw_path"] == "/fhir/R4/Patient/a%2Db"
    assert answer.json["query"] == "_count=5&name=%D8%B9"


async def test_hop_by_hop_identity_and_nominated_fields_stop_at_the_gateway() -> None:
    sent = [
        (b"connection", b"close, x-nominated"),
        (b"x-nominated", b"1"),
        (b"te", b"trailers"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-gozar-app", b"app_other"),
        (b"cookie", b"session=1"),
        (b"accept", b"application/fhir+json"),
    ]
    answer = await Rig().call(PATIENT, headers=sent)
    names = [name for name, _ in answer.json["headers"]]
    assert names == ["accept", "authorization", "x-request-id"]
    assert "connection" not in answer.headers
    assert answer.headers["ratelimit"] != "forged"


async def test_a_well_formed_request_id_is_kept_and_a_bad_one_replaced() -> None:
    rig = Rig()
    kept = await rig.call(PATIENT, headers=[(b"x-request-id", b"my-call.7")])
    assert kept.headers["x-request-id"] == "my-call.7"
    assert ["x-request-id", "my-call.7"] in kept.json["headers"]
    replaced = await rig.call(PATIENT, headers=[(b"x-request-id", b"evil\r\nfield: 1")])
    assert replaced.headers["x-request-id"].startswith("test-")


@pytest.mark.parametrize(
    "tail",
    [
        b"Patient/..%2fObservation",
        b"Patient%2Fp1",
        b"Patient/%5cp1",
        b"Patient/../Observation",
        b"Patient/%2e%2e/Observation",
        b"Patient/.%2E/Observation",
        b"Patient/./p1",
        b"Patient//p1",
        b"Patient/p1;v=1",
        b"Patient/%00",
        b"Patient/%zz",
        b"Patient/%",
        b"Patient/%ff",
        b"Patient/%252e%252e",
        b"Patient\\p1",
        b"Patient/\xd8\xb9",
        b"//",
    ],
)
async def test_a_path_two_readers_could_read_differently_is_refused_before_authorisation(tail: bytes) -> None:
    rig = Rig()
    answer = await rig.call(b"/sandbox/fhir/R4/" + tail, bearer=None)
    assert answer.status == 400
    assert answer.json["resourceType"] == "OperationOutcome"
    assert rig.store.spent == {}


@pytest.mark.parametrize("tail", ["metadata", ".well-known/smart-configuration"])
async def test_discovery_needs_no_token(tail: str) -> None:
    answer = await Rig().call(f"/sandbox/fhir/R4/{tail}", bearer=None)
    assert answer.status == 200


async def test_a_missing_token_is_challenged_without_an_error_code() -> None:
    answer = await Rig().call(PATIENT, bearer=None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="sandbox"'
    assert answer.json["issue"][0]["code"] == "login"


@pytest.mark.parametrize("token", ["forged", "", "a b", "é"])
async def test_a_bad_token_is_401_and_costs_no_quota(token: str) -> None:
    rig = Rig()
    answer = await rig.call(PATIENT, bearer=token)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert rig.store.spent == {}


async def test_two_authorization_fields_are_refused() -> None:
    answer = await Rig().call(PATIENT, headers=[(b"authorization", b"Bearer good")])
    assert answer.status == 400


async def test_a_sandbox_token_is_refused_in_production_and_the_reverse() -> None:
    rig = Rig()
    rig.tokens.known["production"] = FakeToken("production", "app-p", ("system/Patient.r",))
    rig.directory.known["production", "app-p"] = access(client_id="app-p", environment="production")
    assert (await rig.call("/production/fhir/R4/Patient/p1", bearer="good")).status == 401
    assert (await rig.call("/sandbox/fhir/R4/Patient/p1", bearer="production")).status == 401
    assert (await rig.call("/production/fhir/R4/Patient/p1", bearer="production")).status == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": AccessStatus.SUSPENDED}, "app-suspended"),
        ({"app_status": AccessStatus.SUSPENDED}, "app-suspended"),
        ({"company_status": CompanyStatus.SUSPENDED}, "company-suspended"),
    ],
)
async def test_a_suspended_app_or_company_is_refused_with_a_token_issued_before(
    changes: dict[str, object], code: str
) -> None:
    rig = Rig()
    assert (await rig.call(PATIENT)).status == 200
    rig.directory.known["sandbox", "app-1"] = access(**changes)
    answer = await rig.call(PATIENT)
    assert answer.status == 403
    assert answer.json["issue"][0]["details"]["coding"][0]["code"] == code


async def test_a_limited_app_reads_at_a_lower_rate_and_never_writes() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=8), status=AccessStatus.LIMITED)
    assert (await rig.call("/sandbox/fhir/R4/Patient", "POST", body=b"{}")).status == 403
    answers = [(await rig.call(PATIENT)).status for _ in range(4)]
    assert answers == [200, 200, 429, 429]


async def test_a_scope_the_token_lacks_is_403_and_names_one_that_would_do() -> None:
    rig = Rig()
    answer = await rig.call("/sandbox/fhir/R4/Observation/o1", "DELETE")
    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="system/Observation.d"' in answer.headers["www-authenticate"]
    assert rig.store.spent == {}


async def test_a_scope_withdrawn_from_the_app_no_longer_works_in_a_token_issued_before() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(scopes=frozenset({"system/Patient.rs"}))
    assert (await rig.call(PATIENT)).status == 200
    assert (await rig.call(PATIENT, "DELETE")).status == 403


async def test_without_any_subscription_the_call_is_403() -> None:
    rig = Rig()
    bare = access()
    bare.terms = ()
    rig.directory.known["sandbox", "app-1"] = bare
    answer = await rig.call(PATIENT)
    assert answer.status == 403
    assert answer.json["issue"][0]["details"]["coding"][0]["code"] == "no-subscription"


async def test_a_right_that_no_product_brings_counts_on_the_first_subscription() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(scopes=frozenset({"system/*.cruds"}))
    rig.tokens.known["good"] = FakeToken("sandbox", "app-1", ("system/*.cruds",))
    assert (await rig.call("/sandbox/fhir/R4/Medication/m1")).status == 200
    assert rig.meter.calls[-1].product == "health-record"


async def test_a_cut_scope_closes_wider_scopes_of_its_context_too() -> None:
    rig = Rig()
    cut = frozenset({"system/Observation.rs"})
    rig.directory.known["sandbox", "app-1"] = access(scopes=frozenset({"system/*.cruds"}), cut=cut)
    rig.tokens.known["good"] = FakeToken("sandbox", "app-1", ("system/*.cruds",))
    refused = await rig.call("/sandbox/fhir/R4/Observation/o1")
    assert refused.json["issue"][0]["details"]["coding"][0]["code"] == "scope-suspended"
    assert (await rig.call("/sandbox/fhir/R4/Observation/o1", "DELETE")).status == 200
    assert (await rig.call(PATIENT)).status == 200


async def test_an_app_with_an_allow_list_is_refused_from_elsewhere_and_believes_only_trusted_proxies() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(networks=("203.0.113.0/24",))
    assert (await rig.call(PATIENT)).status == 403, "the peer is 192.0.2.7"
    forged = [(b"x-forwarded-for", b"203.0.113.5")]
    assert (await rig.call(PATIENT, headers=forged)).status == 403, "the peer is no trusted proxy"
    rig.peer = "10.1.1.1"
    assert (await rig.call(PATIENT, headers=forged)).status == 200
    assert (await rig.call(PATIENT, headers=[(b"x-forwarded-for", b"203.0.113.5, 198.51.100.1")])).status == 403
    assert (await rig.call(PATIENT, headers=[(b"x-forwarded-for", b"203.0.113.5, 10.9.9.9")])).status == 200


async def test_an_app_bound_to_a_certificate_needs_it_from_a_trusted_proxy() -> None:
    rig = Rig()
    certificate = b"not really DER"
    shown = [(b"client-cert", b":" + base64.b64encode(certificate) + b":")]
    thumbprint = hashlib.sha256(certificate).hexdigest()
    rig.directory.known["sandbox", "app-1"] = access(certificates=(thumbprint,))
    assert (await rig.call(PATIENT, headers=shown)).status == 403
    rig.peer = "10.1.1.1"
    assert (await rig.call(PATIENT)).status == 403
    answer = await rig.call(PATIENT, headers=shown)
    assert answer.status == 200
    assert "client-cert" not in dict(answer.json["headers"])


async def test_a_limit_on_trial_refuses_nothing_and_is_noted() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(shadow=Limits(2, 1000, 1000)))
    assert [(await rig.call(PATIENT)).status for _ in range(4)] == [200] * 4
    assert [call.shadowed for call in rig.meter.calls] == [(), (), ("burst",), ("burst",)]


async def test_a_preflight_is_answered_for_registered_origins_only() -> None:
    rig = Rig()
    asked = [(b"access-control-request-method", b"GET"), (b"access-control-request-headers", b"authorization")]
    good = await rig.call(PATIENT, "OPTIONS", bearer=None, headers=[(b"origin", b"https://app.test"), *asked])
    assert good.status == 204
    assert good.headers["access-control-allow-origin"] == "https://app.test"
    assert "Authorization" in good.headers["access-control-allow-headers"]
    for origin in (b"https://evil.test", b"null", b"https://app.test.evil.test"):
        bad = await rig.call(PATIENT, "OPTIONS", bearer=None, headers=[(b"origin", origin), *asked])
        assert bad.status == 403
        assert "access-control-allow-origin" not in bad.headers
    assert (await rig.call(PATIENT, "OPTIONS", headers=[(b"origin", b"http://localhost:3000"), *asked])).status == 204
    discovery = await rig.call("/sandbox/fhir/R4/metadata", bearer=None, headers=[(b"origin", b"https://evil.test")])
    assert discovery.headers["access-control-allow-origin"] == "*"


async def test_answers_and_refusals_can_be_read_by_a_registered_page() -> None:
    rig = Rig()
    origin = [(b"origin", b"https://app.test")]
    for bearer in ("good", "forged"):
        answer = await rig.call(PATIENT, bearer=bearer, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://app.test"
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"


async def test_the_burst_ends_exactly_at_the_limit_and_says_which_policy_refused() -> None:
    rig = Rig()
    answers = [await rig.call(PATIENT) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    refused = answers[-1]
    assert refused.headers["retry-after"] == "1"
    assert '"burst";r=0;t=1' in refused.headers["ratelimit"]
    assert refused.headers["ratelimit-policy"].startswith('"burst";q=5;w=1, "sustained";q=100;w=60, "concurrent";q=10')
    assert "violated-policies: burst" in refused.json["issue"][0]["diagnostics"]
    assert refused.json["issue"][0]["code"] == "throttled"
    assert rig.meter.calls[-1].violated == ("burst",)
    rig.clock.advance(0.2)
    assert (await rig.call(PATIENT)).status == 200


async def test_a_refused_call_is_never_charged() -> None:
    rig = Rig()
    for _ in range(50):
        await rig.call(PATIENT)
    assert sum(call.status == 200 for call in rig.meter.calls) == 5
    rig.clock.advance(1)
    assert [(await rig.call(PATIENT)).status for _ in range(6)] == [200] * 5 + [429]


async def test_the_quota_ends_exact_and_names_itself() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=1000, per_minute=10000, quota=7))
    answers = [await rig.call(PATIENT) for _ in range(9)]
    assert [answer.status for answer in answers] == [200] * 7 + [429] * 2
    refused = answers[-1]
    assert "violated-policies: month" in refused.json["issue"][0]["diagnostics"]
    assert int(refused.headers["retry-after"]) > 86400
    assert '"month";r=0' in refused.headers["ratelimit"]
    assert '"month";q=7;w=2592000' in refused.headers["ratelimit-policy"]
    assert '"month";r=6' in answers[0].headers["ratelimit"]


async def test_a_quota_refusal_gives_the_burst_back() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=5, quota=1))
    await rig.call(PATIENT)
    refused = [await rig.call(PATIENT) for _ in range(10)]
    assert {answer.headers["ratelimit"].split(",")[0] for answer in refused} == {'"burst";r=3;t=1'}


async def test_a_raised_quota_acts_at_once() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(quota=1))
    assert [(await rig.call(PATIENT)).status for _ in range(2)] == [200, 429]
    rig.directory.known["sandbox", "app-1"] = access(terms(quota=2))
    assert [(await rig.call(PATIENT)).status for _ in range(2)] == [200, 429]


async def test_a_declared_body_beyond_the_limit_is_413_before_anything_is_read() -> None:
    rig = Rig(max_body=10)
    answer = await rig.call("/sandbox/fhir/R4/Patient", "POST", headers=[(b"content-length", b"11")])
    assert answer.status == 413
    assert rig.store.spent == {}


async def test_a_streamed_body_beyond_the_limit_is_413() -> None:
    answer = await Rig(max_body=100_000).call("/sandbox/fhir/R4/Patient", "POST", body=b"x" * 200_000)
    assert answer.status == 413
    assert answer.json["issue"][0]["code"] == "too-long"


async def test_a_body_is_streamed_through() -> None:
    rig = Rig()
    answer = await rig.call("/sandbox/fhir/R4/Patient", "POST", body=b"x" * 200_000)
    assert len(answer.json["body"]) == 200_000
    assert rig.meter.calls[0].bytes_in == 200_000
    assert rig.meter.calls[0].bytes_out == len(answer.body)


async def test_oversized_header_and_address_are_refused() -> None:
    rig = Rig()
    assert (await rig.call(PATIENT, headers=[(b"x-big", b"x" * 40_000)])).status == 431
    assert (await rig.call(PATIENT, headers=[(b"x-small", b"x")] * 101)).status == 431
    assert (await rig.call(PATIENT, query=b"q" * 9000)).status == 414


@pytest.mark.parametrize("length", [b"-1", b"1, 1", b"abc"])
async def test_a_broken_content_length_is_400(length: bytes) -> None:
    assert (await Rig().call("/sandbox/fhir/R4/Patient", "POST", headers=[(b"content-length", length)])).status == 400


async def test_a_wrong_method_is_405_with_those_allowed() -> None:
    answer = await Rig().call("/sandbox/fhir/R4/Patient/p1", "POST")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, PUT, PATCH, DELETE, HEAD"


async def test_an_unknown_path_is_404_in_the_shape_of_its_kind() -> None:
    rig = Rig()
    assert (await rig.call("/sandbox/fhir/R5/Patient")).json["resourceType"] == "OperationOutcome"
    partner = await rig.call("/sandbox/apis/NoSuch!/x")
    assert partner.status == 404
    assert partner.headers["content-type"] == "application/problem+json"


async def test_a_failing_exchange_is_502_and_costs_no_quota() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a defect")

    rig = Rig(broken)
    rig.directory.known["sandbox", "app-1"] = access(terms(quota=1, per_second=100))
    for _ in range(3):
        answer = await rig.call(PATIENT)
        assert answer.status == 502
    assert (await rig.leases.take("sub_1", limit=1, period=terms().quota_period))[0]


@pytest.mark.parametrize(
    ("fault", "status"),
    [(UpstreamFailed("no answer", timed_out=True), 504), (UpstreamFailed("refused"), 502), (UpstreamClosed(7), 503)],
)
async def test_upstream_faults_have_their_own_answers(fault: Exception, status: int) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise fault

    answer = await Rig(failing).call(PATIENT)
    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_an_answer_that_breaks_off_is_metered_once_and_frees_its_place() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("gone")

    rig = Rig(half)
    answer = await rig.call(PATIENT)
    assert answer.messages[-1].get("more_body") is True
    assert [call.code for call in rig.meter.calls] == ["broken-off"]
    assert '"concurrent";r=9' in (await rig.call(PATIENT)).headers["ratelimit"]


async def test_calls_in_flight_are_bounded() -> None:
    import asyncio

    gate = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await echo(scope, receive, send)

    rig = Rig(slow)
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=4, per_minute=1000))
    waiting = []
    for _ in range(4):
        waiting += [asyncio.ensure_future(rig.call(PATIENT)) for _ in range(2)]
        await asyncio.sleep(0)
        rig.clock.advance(1)
    refused = await rig.call(PATIENT)
    assert refused.status == 429
    assert "violated-policies: concurrent" in refused.json["issue"][0]["diagnostics"]
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200] * 8
    assert (await rig.call(PATIENT)).status == 200


async def test_production_closes_while_revocations_cannot_be_read_and_the_sandbox_stays_open() -> None:
    rig = Rig()
    rig.tokens.known["production"] = FakeToken("production", "app-p", ("system/Patient.r",))
    rig.directory.known["production", "app-p"] = access(client_id="app-p", environment="production")
    rig.stale = True
    closed = await rig.call("/production/fhir/R4/Patient/p1", bearer="production")
    assert closed.status == 503
    assert closed.json["issue"][0]["details"]["coding"][0]["code"] == "temporary-reduced-capacity"
    assert (await rig.call(PATIENT)).status == 200


async def test_a_partner_product_gets_who_is_calling_but_never_the_token() -> None:
    rig = Rig()
    rig.partners["http://partner.example"] = InProcessUpstream(echo)
    rig.directory.known["sandbox", "app-1"] = access(
        terms(product_id="claims", upstream="http://partner.example", product_scopes=frozenset({"claims.read"})),
        scopes=frozenset({"claims.read"}),
    )
    rig.tokens.known["good"] = FakeToken("sandbox", "app-1", ("claims.read",))
    answer = await rig.call("/sandbox/apis/claims/v1/things", headers=[(b"x-gozar-app", b"forged")])
    told = dict(answer.json["headers"])
    assert answer.status == 200
    assert answer.json["raw_path"] == "/v1/things"
    assert told["x-gozar-app"] == "app_1"
    assert "authorization" not in told
    rig.tokens.known["good"] = FakeToken("sandbox", "app-1", ("other",))
    refused = await rig.call("/sandbox/apis/claims/v1/things")
    assert refused.status == 403
    assert refused.json["type"] == "urn:gozar:problem:insufficient-scope"


async def test_the_front_sends_gateway_paths_to_the_gateway_and_the_rest_to_the_portal() -> None:
    async def portal(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    rig = Rig()
    app = front(rig.gateway, portal)
    assert (await drive(app, "GET", PATIENT, [])).status == 401
    for path in ("/", "/sandbox/oauth/token", "/sandbox/fhir/R4/.well-known/smart-configuration", "/sandboxfhir/R4"):
        assert (await drive(app, "GET", path, [])).status == 299


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (b"", "en"), (b"fa", "fa"), (b"fa-IR,fa;q=0.9,en;q=0.8", "fa"), (b"en-US,en;q=0.9,fa;q=0.8", "en"),
        (b"de", "en"), (b"*", "en"), (b"fa;q=0", "en"), (b"en;q=0.1, fa;q=0.2", "fa"), (b"fa;q=x", "en"), (b"\xff;;,=", "en"),
    ],
)  # fmt: skip
async def test_a_refusal_is_told_in_the_language_asked_for_and_its_codes_stay(asked: bytes, language: str) -> None:
    rig = Rig()
    answer = await rig.call(PATIENT, bearer=None, headers=[(b"accept-language", asked)])
    issue = answer.json["issue"][0]
    assert answer.headers["content-language"] == language and answer.headers["vary"] == "Accept-Language"
    assert (answer.json["language"], issue["details"]["coding"][0]["code"], issue["code"]) == (
        language, "token-missing", "login",
    )  # fmt: skip
    assert ("توکن" in issue["details"]["text"]) == ("درخواست" in issue["diagnostics"]) == (language == "fa")
    other = issue["details"]["_text"]["extension"][0]["extension"]
    assert ("توکن" in other[1]["valueString"]) == (language == "en") and other[0]["valueCode"] != language
    problem = await rig.call("/sandbox/apis/nothing/x", bearer=None, headers=[(b"accept-language", asked)])
    assert problem.json["detail_fa"] and (problem.json["title"] == problem.json["title_fa"]) == (language == "fa")


async def test_every_refusal_has_persian_and_english_words() -> None:
    made = [
        verdicts.bad_request("x", "ا"), verdicts.not_found("x", "ا"), verdicts.method_not_allowed("GET"),
        verdicts.too_large(1), verdicts.uri_too_long(1), verdicts.headers_too_large(1), verdicts.bad_gateway("x"),
        verdicts.gateway_timeout("x"), verdicts.insufficient_scope("sandbox", "system/Patient.r"),
        verdicts.unauthenticated("sandbox", "the access token has expired", error="invalid_token"),
        *(verdicts.rehearsed(Fault(kind, 1), "sandbox") for kind in
          ("limit", "expired-token", "conflict", "consent", "lost-answer", "unavailable")),
    ]  # fmt: skip
    for refused in made:
        for text in (refused.title_fa, refused.detail_fa):
            assert any("\u0600" <= letter <= "\u06ff" for letter in text), refused
        assert refused.title.isascii() and refused.detail.isascii()


@pytest.mark.parametrize("why", ["suspended", "revoked", "unsubscribed", "gone"])
async def test_a_running_call_is_broken_off_when_its_standing_ends(why: str) -> None:
    begun = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        begun.set()
        await asyncio.sleep(60)

    rig = Rig(endless)
    running = asyncio.create_task(rig.call(PATIENT))
    await begun.wait()
    assert await rig.gateway.recheck() == 0, "nothing has changed yet"
    match why:
        case "suspended":
            rig.directory.known["sandbox", "app-1"] = access(status=AccessStatus.SUSPENDED)
        case "revoked":
            rig.tokens.gone.add(rig.tokens.known["good"])
        case "unsubscribed":
            rig.directory.known["sandbox", "app-1"] = access(terms(product_id="another"))
        case _:
            del rig.directory.known["sandbox", "app-1"]
    assert await rig.gateway.recheck() == 1
    async with asyncio.timeout(5):
        answer = await running
    assert answer.body == b"first" and answer.messages[-1].get("more_body") is not False
    (call,) = rig.meter.calls
    codes = {
        "suspended": "app-suspended",
        "revoked": "invalid-token",
        "unsubscribed": "no-subscription",
        "gone": "invalid-token",
    }
    assert call.code == codes[why] and not call.flying
    assert await rig.gateway.recheck() == 0


async def test_a_call_that_waits_for_its_answer_is_refused_when_its_standing_ends() -> None:
    begun = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.sleep(60)

    rig = Rig(slow)
    running = asyncio.create_task(rig.call(PATIENT))
    await begun.wait()
    rig.directory.known["sandbox", "app-1"] = access(app_status=AccessStatus.SUSPENDED)
    assert await rig.gateway.recheck() == 1
    answer = await running
    assert answer.status == 403 and answer.json["issue"][0]["details"]["coding"][0]["code"] == "app-suspended"


async def test_a_client_that_cancels_is_not_taken_for_a_kill() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    rig = Rig(slow)
    running = asyncio.create_task(rig.call(PATIENT))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await rig.gateway.recheck() == 0, "it runs no more"
