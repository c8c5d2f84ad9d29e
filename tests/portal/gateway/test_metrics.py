"""The gateway's counters as Prometheus reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from portal.gateway.metrics import Metrics
from tests.portal.gateway.rig import Rig, access, terms
from tests.portal.gateway.test_gateway import PATIENT


async def test_metrics_parse_and_count_every_verdict() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=2))
    for _ in range(3):
        await rig.call(PATIENT)
    await rig.call(PATIENT, bearer=None)
    metrics = Metrics("w1")
    for call in rig.meter.calls:
        metrics.count(call)
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    calls = {
        (sample.labels["verdict"], sample.labels["status"]): sample.value
        for sample in families["gozar_gateway_calls"].samples
    }
    assert calls == {("admitted", "2xx"): 2, ("quota-exceeded", "4xx"): 1, ("token-missing", "4xx"): 1}
    assert [sample.labels for sample in families["gozar_gateway_limited"].samples] == [
        {"worker": "w1", "environment": "sandbox", "policy": "burst"}
    ]
    histogram = families["gozar_gateway_duration_seconds"].samples
    assert next(sample.value for sample in histogram if sample.labels.get("le") == "+Inf") == 4
    assert next(sample.value for sample in histogram if sample.name.endswith("_count")) == 4
