"""How tall and heavy children are: medians by age and sex, and a child's own place among its peers.

Medians: general knowledge, after the WHO child growth standards and reference 2007, adult heights lowered to Iran's.
"""

from bisect import bisect_right

_MONTHS = (0, 1, 2, 4, 6, 9, 12, 18, 24, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144, 156, 168, 180, 192, 204, 216)
_WEIGHT = {
    False: (3.3, 4.5, 5.6, 7.0, 7.9, 8.9, 9.6, 10.9, 12.2, 14.3, 16.3, 18.3, 20.5, 22.9, 25.4, 28.1, 31.2, 35, 40, 45, 51,
            56, 61, 64.5, 67),
    True: (3.2, 4.2, 5.1, 6.4, 7.3, 8.2, 8.9, 10.2, 11.5, 13.9, 16.1, 18.2, 20.2, 22.4, 25, 28.2, 31.9, 36.5, 41.5, 46,
           50, 52.5, 54, 55, 56),
}  # fmt: skip
_HEIGHT = {
    False: (49.9, 54.7, 58.4, 63.9, 67.6, 72, 75.7, 82.3, 87.8, 96.1, 103.3, 110, 116, 121.7, 127.3, 132.6, 137.8, 143.5,
            149.1, 155, 161, 166.5, 170.5, 172.4, 173),
    True: (49.1, 53.7, 57.1, 62.1, 65.7, 70.1, 74, 80.7, 86.4, 95.1, 102.7, 109.4, 115.1, 120.8, 126.6, 132.5, 138.6, 145,
           150.4, 154.4, 156.8, 158, 158.6, 159, 159),
}  # fmt: skip


_GIRTH_MONTHS = (0, 1, 2, 4, 6, 9, 12, 18, 24)
_GIRTH = {
    False: (34.5, 37.3, 39.1, 41.6, 43.3, 45.0, 46.1, 47.4, 48.3),
    True: (33.9, 36.5, 38.3, 40.6, 42.2, 43.8, 44.9, 46.2, 47.2),
}


def head_girth(female: bool, months: float, place: float) -> float:
    """Head circumference in cm in the first two years."""
    at = min(max(bisect_right(_GIRTH_MONTHS, months) - 1, 0), len(_GIRTH_MONTHS) - 2)
    part = min(1.0, (months - _GIRTH_MONTHS[at]) / (_GIRTH_MONTHS[at + 1] - _GIRTH_MONTHS[at]))
    girths = _GIRTH[female]
    return (girths[at] + part * (girths[at + 1] - girths[at])) * (1 + 0.018 * place)


def catching_up(months: float, early: float) -> tuple[float, float]:
    """What is left of the smallness of a child born `early` weeks too soon: factors on length (and head) and on weight."""
    if not early or months >= 24:
        return 1.0, 1.0
    left = early * (1 - months / 24) ** 2
    return 1 - 0.022 * left, 1 - 0.075 * left


def size(female: bool, months: float, place: float) -> tuple[float, float]:
    """Height in cm and weight in kg at an age in months, for a child `place` standard deviations from the median."""
    at = min(max(bisect_right(_MONTHS, months) - 1, 0), len(_MONTHS) - 2)
    part = min(1.0, (months - _MONTHS[at]) / (_MONTHS[at + 1] - _MONTHS[at]))
    heights, weights = _HEIGHT[female], _WEIGHT[female]
    height = heights[at] + part * (heights[at + 1] - heights[at])
    weight = weights[at] + part * (weights[at + 1] - weights[at])
    return height * (1 + 0.036 * place), weight * (1 + 0.11 * place)
