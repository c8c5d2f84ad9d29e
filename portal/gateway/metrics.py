"""Counters of one worker, in Prometheus' text format. Labels are few and bounded: no client, no path, no address.

Each worker answers for itself under its `worker` label, so that a scrape that meets another worker next time sees no counter fall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from portal.gateway.calls import Call

BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


class Metrics:
    """Calls by Environment, interaction, verdict and status class; durations; limits that refused or would have."""

    def __init__(self, worker: str = "") -> None:
        self._worker = worker
        self.calls: Counter[tuple[str, str, str, int]] = Counter()
        self.violations: Counter[tuple[str, str]] = Counter()
        self.shadowed: Counter[str] = Counter()
        self.durations = [0] * (len(BUCKETS_MS) + 1)
        self.duration_sum = 0
        self.gateway_sum = 0
        self.journal_errors = 0
        self.flush_errors = 0

    def count(self, call: Call) -> None:
        """Count one ended call."""
        self.calls[call.environment, call.interaction or "unknown", call.code, call.status // 100] += 1
        for name in call.violated:
            self.violations[call.environment, name] += 1
        for name in call.shadowed:
            self.shadowed[name] += 1
        took = call.ended - call.started
        self.duration_sum += took
        self.gateway_sum += (call.forwarded or call.ended) - call.started
        self.durations[bisect_left(BUCKETS_MS, took / 1_000_000)] += 1

    @property
    def _label(self) -> str:
        return f'worker="{self._worker}"'

    def text(self) -> bytes:
        """Everything counted so far, as `/metrics` shows it."""
        return "".join(f"{line}\n" for line in self.lines()).encode()

    def lines(self) -> Iterator[str]:
        """Prometheus exposition format 0.0.4, without the final newline of each line."""
        yield "# HELP gozar_gateway_calls_total Calls by environment, interaction, verdict and status class."
        yield "# TYPE gozar_gateway_calls_total counter"
        for (environment, interaction, code, hundreds), number in sorted(self.calls.items()):
            yield (
                f'gozar_gateway_calls_total{{{self._label},environment="{environment}",interaction="{interaction}",'
                f'verdict="{code}",status="{hundreds}xx"}} {number}'
            )
        yield "# HELP gozar_gateway_limited_total Calls refused, by the policy that refused them."
        yield "# TYPE gozar_gateway_limited_total counter"
        for (environment, policy), number in sorted(self.violations.items()):
            yield f'gozar_gateway_limited_total{{{self._label},environment="{environment}",policy="{policy}"}} {number}'
        yield "# HELP gozar_gateway_shadow_limited_total Calls that a limit on trial would have refused."
        yield "# TYPE gozar_gateway_shadow_limited_total counter"
        for policy, number in sorted(self.shadowed.items()):
            yield f'gozar_gateway_shadow_limited_total{{{self._label},policy="{policy}"}} {number}'
        yield "# HELP gozar_gateway_duration_seconds Whole duration of calls."
        yield "# TYPE gozar_gateway_duration_seconds histogram"
        running = 0
        for bound, number in zip(BUCKETS_MS, self.durations, strict=False):
            running += number
            yield f'gozar_gateway_duration_seconds_bucket{{{self._label},le="{bound / 1000:g}"}} {running}'
        running += self.durations[-1]
        yield f'gozar_gateway_duration_seconds_bucket{{{self._label},le="+Inf"}} {running}'
        yield f"gozar_gateway_duration_seconds_sum{{{self._label}}} {self.duration_sum / 1e9:.6f}"
        yield f"gozar_gateway_duration_seconds_count{{{self._label}}} {running}"
        yield "# HELP gozar_gateway_admission_seconds_total Time spent before forwarding or refusing."
        yield "# TYPE gozar_gateway_admission_seconds_total counter"
        yield f"gozar_gateway_admission_seconds_total{{{self._label}}} {self.gateway_sum / 1e9:.6f}"
        for name, number in (
            ("journal_errors", self.journal_errors),
            ("flush_errors", self.flush_errors),
        ):
            yield f"# TYPE gozar_gateway_{name}_total counter"
            yield f"gozar_gateway_{name}_total{{{self._label}}} {number}"
