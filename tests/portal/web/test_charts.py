"""Geometry of the server-side charts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portal.web.charts import bar_chart, nice_top

POINTS = st.lists(st.tuples(st.text(max_size=5), st.integers(0, 10**9)), min_size=1, max_size=40)


@given(POINTS, st.booleans())
def test_bars_stay_inside_and_keep_their_figures(points: list[tuple[str, int]], rtl: bool) -> None:
    chart = bar_chart(points, rtl=rtl)
    assert [(bar.label, bar.value) for bar in chart.bars] == points
    for bar in chart.bars:
        assert bar.x >= 0 and bar.x + bar.width <= chart.width + 0.02
        assert bar.y >= 0 and bar.y + bar.height <= chart.height + 0.02


@given(POINTS)
def test_right_to_left_mirrors_the_order(points: list[tuple[str, int]]) -> None:
    left, right = bar_chart(points, rtl=False), bar_chart(points, rtl=True)
    assert [bar.x for bar in right.bars] == sorted((bar.x for bar in right.bars), reverse=True)
    assert [bar.x for bar in left.bars] == sorted(bar.x for bar in left.bars)


@given(st.integers(0, 10**12))
def test_the_top_is_round_and_not_below(value: int) -> None:
    top = nice_top(value)
    assert top >= value and str(top).strip("0") in ("1", "2", "5")
