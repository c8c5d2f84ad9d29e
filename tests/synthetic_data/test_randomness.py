"""Draws are pure functions of their counters, the same in numpy and in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthetic_data.randomness import blocks, draws, member_key, member_keys, stream_key, uniforms

seeds = st.integers(-(2**63), 2**63 - 1)
members = st.integers(0, 10**9)


@given(seeds, members)
def test_scalar_and_vector_keys_agree(seed: int, member: int) -> None:
    assert int(member_keys(seed, np.array([member], dtype=np.uint64))[0]) == member_key(seed, member)


@given(seeds, members, st.integers(0, 60))
def test_a_stream_continues_beyond_its_first_block(seed: int, member: int, known: int) -> None:
    key = member_keys(seed, np.array([member], dtype=np.uint64))
    whole = blocks(key, stream_key("story"), 0, 64)[0].tolist()
    draw = draws(whole[:known], int(key[0]), stream_key("story"))
    assert [draw() for _ in range(64)] == whole


def test_one_stream_does_not_depend_on_which_others_are_drawn() -> None:
    keys = member_keys(5, np.arange(100, dtype=np.uint64))
    streams = np.array([stream_key(name) for name in ("a", "b", "c")], dtype=np.uint64)
    assert (uniforms(keys, streams)[:, 2] == uniforms(keys, streams[2:])[:, 0]).all()


def test_draws_fill_the_unit_interval_evenly() -> None:
    keys = member_keys(1, np.arange(2_000, dtype=np.uint64))
    counts, _ = np.histogram(blocks(keys, stream_key("x"), 0, 50), bins=20, range=(0, 1))
    assert ((counts - 5_000) ** 2 / 5_000).sum() < 50  # chi-square with 19 degrees of freedom: 50 is beyond 1 in 10,000
