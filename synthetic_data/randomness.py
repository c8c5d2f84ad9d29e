"""Counter-based draws: every random number is a pure function of (seed, member, stream name, n).

Nothing is drawn "next from the generator", so a number does not depend on how many were drawn before it by another
module, on the batch a person was simulated in, or on the worker that did it. The mixing function is the finaliser of
SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195), applied to a keyed counter.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Uniforms = NDArray[np.float64]
Keys = NDArray[np.uint64]
Draw = Callable[[], float]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MUL1 = 0xBF58476D1CE4E5B9
_MUL2 = 0x94D049BB133111EB
_TO_UNIT = 2.0**-53
BLOCK = 48  # draws made in advance for each (member, story) pair


def mix64(value: int) -> int:
    """The scalar twin of `mix`, for the rare places that need one number."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * _MUL1) & _MASK
    value = ((value ^ (value >> 27)) * _MUL2) & _MASK
    return value ^ (value >> 31)


def mix(values: Keys) -> Keys:
    """SplitMix64's finaliser over an array of unsigned 64-bit integers."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MUL1)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MUL2)
    return values ^ (values >> np.uint64(31))


def stream_key(name: str) -> int:
    """The 64-bit key of a named stream; stable for ever, unlike `hash()`."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8, person=b"gozar-synth").digest(), "big")


def member_keys(seed: int, members: Keys) -> Keys:
    """One key for each member number of a population with this seed."""
    return mix(members * np.uint64(_GOLDEN) ^ np.uint64(mix64(stream_key(f"seed:{seed}"))))


def member_key(seed: int, member: int) -> int:
    """The scalar twin of `member_keys`."""
    return mix64(((member * _GOLDEN) & _MASK) ^ mix64(stream_key(f"seed:{seed}")))


def uniforms(keys: Keys, streams: Keys) -> Uniforms:
    """Draw 0 of every stream for every key: shape (keys, streams), values in [0, 1)."""
    with np.errstate(over="ignore"):
        mixed = mix(keys[:, None] ^ streams[None, :])
    return (mixed >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def blocks(keys: Keys, stream: int, first: int = 0, count: int = BLOCK) -> Uniforms:
    """Draws first..first+count of one stream for every key: shape (keys, count)."""
    counters = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    with np.errstate(over="ignore"):
        mixed = mix(mix(keys ^ np.uint64(stream))[:, None] + counters[None, :])
    return (mixed >> np.uint64(11)).astype(np.float64) * _TO_UNIT


_CHUNK = 48
_STEPS = np.arange(1, _CHUNK + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
_EARLY = 12  # draws made one by one before whole chunks pay: many runs need only a few


def _chunks(block: list[float], key: int, stream: int) -> Iterator[Iterable[float]]:
    """The draws of one stream of one member, in order, as pieces; `block` is the beginning of it, made in advance."""
    yield block
    position = len(block)
    start = mix64(key ^ stream)
    if not position:
        yield ((mix64(start + place * _GOLDEN) >> 11) * _TO_UNIT for place in range(1, _EARLY + 1))
        position = _EARLY
    while True:
        mixed = mix(np.uint64((start + position * _GOLDEN) & _MASK) + _STEPS)
        yield ((mixed >> np.uint64(11)).astype(np.float64) * _TO_UNIT).tolist()
        position += _CHUNK


def draws(block: list[float], key: int, stream: int) -> Draw:
    """A function that gives the next draw of a stream at each call."""
    return chain.from_iterable(_chunks(block, key, stream)).__next__


def _normal_table(size: int) -> list[float]:
    inverse = NormalDist().inv_cdf
    return [round(inverse((i + 0.5) / size), 6) for i in range(size)]


NORMAL_SIZE = 4096
# The standard normal quantile at 4,096 even steps: NORMAL[int(u * 4096)]. Tabulated and rounded, so that the same bytes
# come out on machines whose mathematical libraries differ in the last bit. Its bounds are +-3.67.
NORMAL = _normal_table(NORMAL_SIZE)
NORMAL_ARRAY = np.array(NORMAL)


def normals(values: Uniforms) -> Uniforms:
    """Standard normal deviates for uniforms in [0, 1)."""
    return NORMAL_ARRAY[(values * NORMAL_SIZE).astype(np.int64)]


# Phi at steps of 0.001 between -4 and 4, to turn a sum of normals back into a uniform.
_PHI = np.array([round(NormalDist().cdf(i / 1000), 9) for i in range(-4000, 4001)])


def normal_cdf(values: Uniforms) -> Uniforms:
    """The standard normal distribution function, tabulated; strictly inside (0, 1)."""
    index = np.clip(np.rint(values * 1000).astype(np.int64) + 4000, 0, 8000)
    return _PHI[index]
