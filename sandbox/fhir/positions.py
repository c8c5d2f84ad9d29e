"""Places on the globe, taken as a sphere: within half a percent of the distances of WGS 84."""

from __future__ import annotations

import math
from typing import Final

EARTH_RADIUS_METRES: Final = 6_371_008.8
"""Mean radius (IUGG)."""


def unit_vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    """The direction of a place, in degrees, from the centre of the earth; distances compare as chords, without a seam at 180°."""
    phi, theta = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def metres_between(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Great-circle distance of two (latitude, longitude) in degrees."""
    chord = math.dist(unit_vector(*first), unit_vector(*second))
    return 2 * EARTH_RADIUS_METRES * math.asin(min(1.0, chord / 2))
