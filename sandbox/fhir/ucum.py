"""UCUM units brought to base units, so that 1 g/L finds 100 mg/dL. https://ucum.org/ucum (case-sensitive codes)

Covers the base units, the metric prefixes and the units that clinical records use; an unknown unit has no canonical form and
is compared by its code alone. `mol` stays a base of its own: without a molar mass, moles and grams do not convert.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

SYSTEM: Final = "http://unitsofmeasure.org"


class Unit(NamedTuple):
    """`base value = value * factor + offset`, in the unit named by `dimension` ("g.m-3")."""

    factor: float
    dimension: tuple[tuple[str, int], ...]
    offset: float = 0.0

    @property
    def code(self) -> str:
        """UCUM code of the base unit; "1" for pure numbers."""
        return ".".join(name + ("" if power == 1 else str(power)) for name, power in self.dimension) or "1"


class UnknownUnitError(ValueError):
    """Not a unit this table knows."""


_PREFIXES: Final = {
    "Y": 1e24, "Z": 1e21, "E": 1e18, "P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2, "da": 1e1,
    "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "z": 1e-21, "y": 1e-24,
}  # fmt: skip

# Code -> (factor, definition in units above it, takes metric prefixes).
# Arbitrary and logarithmic units are bases as well: they do not convert into others by a factor.
_BASES: Final = frozenset({
    "m", "s", "g", "K", "cd", "C", "rad", "mol", "[iU]", "[arb'U]", "[CFU]", "[FFU]", "[PFU]", "[APL'U]", "[GPL'U]", "[MPL'U]",
    "[AU]", "[BAU]", "[Amb'a'1'U]", "[D'ag'U]", "[PNU]", "[TCID_50]", "[CCID_50]", "[EID_50]", "[Lf]", "[USP'U]", "[beth'U]",
    "[bdsk'U]", "[dye'U]", "[ka'U]", "[knk'U]", "[mclg'U]", "[smgy'U]", "[tb'U]", "[todd'U]", "[S]", "[G]", "[EU]", "[ELU]",
    "[IR]", "[PRU]", "[pH]", "Np", "B", "B[V]", "B[mV]", "B[uV]", "B[W]", "B[kW]", "B[SPL]",
})  # fmt: skip
_PREFIXED_BASES: Final = frozenset(
    {
        "m",
        "s",
        "g",
        "K",
        "cd",
        "C",
        "rad",
        "mol",
        "[iU]",
        "Np",
        "B",
        "B[V]",
        "B[mV]",
        "B[uV]",
        "B[W]",
        "B[kW]",
        "B[SPL]",
    }
)
_DERIVED: Final[dict[str, tuple[float, str, bool]]] = {
    "10*": (10, "1", False), "10^": (10, "1", False), "%": (0.01, "1", False), "[ppth]": (1e-3, "1", False),
    "[ppm]": (1e-6, "1", False), "[ppb]": (1e-9, "1", False), "[pi]": (math.pi, "1", False),
    "sr": (1, "rad2", True), "Hz": (1, "s-1", True), "N": (1000, "g.m.s-2", True), "Pa": (1, "N.m-2", True),
    "J": (1, "N.m", True), "W": (1, "J.s-1", True), "A": (1, "C.s-1", True), "V": (1, "J.C-1", True),
    "F": (1, "C.V-1", True), "Ohm": (1, "V.A-1", True), "S": (1, "Ohm-1", True), "Wb": (1, "V.s", True),
    "T": (1, "Wb.m-2", True), "H": (1, "Wb.A-1", True), "lm": (1, "cd.sr", True), "lx": (1, "lm.m-2", True),
    "Bq": (1, "s-1", True), "Gy": (1, "J.kg-1", True), "Sv": (1, "J.kg-1", True), "kat": (1, "mol.s-1", True),
    "l": (1, "dm3", True), "L": (1, "dm3", True), "ar": (100, "m2", True), "t": (1000, "kg", True),
    "bar": (1e5, "Pa", True), "u": (1.66053906660e-24, "g", True), "eV": (1.602176634e-19, "J", True),
    "min": (60, "s", False), "h": (3600, "s", False), "d": (86400, "s", False), "wk": (7, "d", False),
    "a": (365.25, "d", False), "a_j": (365.25, "d", False), "mo": (30.4375, "d", False), "mo_j": (30.4375, "d", False),
    "deg": (math.pi / 180, "rad", False), "'": (1 / 60, "deg", False), "''": (1 / 3600, "deg", False),
    "gon": (0.9, "deg", False), "eq": (1, "mol", True), "osm": (1, "mol", True), "U": (1e-6, "mol.min-1", True),
    "cal": (4.184, "J", True), "[Cal]": (1, "kcal", False), "Ci": (3.7e10, "Bq", True), "R": (2.58e-4, "C.kg-1", True),
    "RAD": (0.01, "Gy", True), "REM": (0.01, "Sv", True), "G": (1e-4, "T", True), "P": (0.1, "Pa.s", True),
    "dyn": (1e-5, "N", True), "erg": (1e-7, "J", True), "atm": (101325, "Pa", False), "gf": (9.80665e-3, "N", True),
    "m[Hg]": (133322, "Pa", True), "m[H2O]": (9806.65, "Pa", True), "[IU]": (1, "[iU]", True),
    "[in_i]": (2.54, "cm", False), "[ft_i]": (12, "[in_i]", False), "[yd_i]": (3, "[ft_i]", False),
    "[mi_i]": (5280, "[ft_i]", False), "[in_i'H2O]": (249.08891, "Pa", False), "[in_i'Hg]": (3386.378, "Pa", False),
    "[lb_av]": (453.59237, "g", False), "[oz_av]": (28.349523125, "g", False), "[gr]": (0.06479891, "g", False),
    "[oz_tr]": (31.1034768, "g", False), "[stone_av]": (14, "[lb_av]", False), "[psi]": (6894.757293168, "Pa", False),
    "[gal_us]": (3.785411784, "L", False), "[qt_us]": (0.946352946, "L", False), "[pt_us]": (0.473176473, "L", False),
    "[cup_us]": (0.2365882365, "L", False), "[foz_us]": (29.5735295625, "mL", False),
    "[tbs_us]": (14.78676478125, "mL", False), "[tsp_us]": (4.92892159375, "mL", False), "[drp]": (0.05, "mL", False),
    "[cup_m]": (240, "mL", False), "[tbs_m]": (15, "mL", False), "[tsp_m]": (5, "mL", False),
    "St": (1e-4, "m2.s-1", True), "mho": (1, "S", True), "Gal": (0.01, "m.s-2", True), "sb": (1e4, "cd.m-2", False),
    "ph": (1e4, "lx", False), "att": (98066.5, "Pa", False), "b": (1e-28, "m2", False), "sph": (4 * math.pi, "sr", False),
    "circ": (2 * math.pi, "rad", False), "a_t": (365.24219, "d", False), "a_g": (365.2425, "d", False),
    "mo_s": (29.53059, "d", False), "mo_g": (30.436875, "d", False), "cal_IT": (4.1868, "J", True), "cal_th": (4.184, "J", True),
    "cal_m": (4.19002, "J", True), "cal_[15]": (4.1858, "J", True), "cal_[20]": (4.1819, "J", True), "pc": (3.085678e16, "m", True),
    "[ly]": (9.4607304725808e15, "m", False), "[c]": (299792458, "m.s-1", True),
    "[sin_i]": (1, "[in_i]2", False), "[sft_i]": (1, "[ft_i]2", False), "[syd_i]": (1, "[yd_i]2", False),
    "[cin_i]": (1, "[in_i]3", False), "[cft_i]": (1, "[ft_i]3", False), "[cyd_i]": (1, "[yd_i]3", False),
    "[fth_i]": (6, "[ft_i]", False), "[nmi_i]": (1852, "m", False), "[kn_i]": (1, "[nmi_i]/h", False),
    "[mil_i]": (1e-3, "[in_i]", False), "[hd_i]": (4, "[in_i]", False), "[ft_us]": (1200 / 3937, "m", False),
    "[mi_us]": (5280, "[ft_us]", False), "[in_us]": (1 / 12, "[ft_us]", False), "[yd_us]": (3, "[ft_us]", False),
    "[lb_tr]": (373.2417216, "g", False), "[lb_ap]": (373.2417216, "g", False), "[oz_ap]": (31.1034768, "g", False),
    "[dr_ap]": (3.8879346, "g", False), "[sc_ap]": (1.2959782, "g", False), "[dr_av]": (1.7718451953125, "g", False),
    "[pwt_tr]": (1.55517384, "g", False), "[ston_av]": (2000, "[lb_av]", False), "[lton_av]": (2240, "[lb_av]", False),
    "[scwt_av]": (100, "[lb_av]", False), "[lcwt_av]": (112, "[lb_av]", False), "[lbf_av]": (4.4482216152605, "N", False),
    "[car_m]": (0.2, "g", False), "[bbl_us]": (42, "[gal_us]", False), "[gil_us]": (0.25, "[pt_us]", False),
    "[dpt_us]": (0.5506104713575, "L", False), "[dqt_us]": (1.101220942715, "L", False), "[bu_us]": (35.23907016688, "L", False),
    "[gal_br]": (4.54609, "L", False), "[pt_br]": (0.56826125, "L", False), "[qt_br]": (1.1365225, "L", False),
    "[gil_br]": (0.1420653125, "L", False), "[foz_br]": (28.4130625, "mL", False), "[Btu]": (1055.05585262, "J", False),
    "[Btu_IT]": (1055.05585262, "J", False), "[Btu_th]": (1054.35026444, "J", False), "[HP]": (745.69987158227022, "W", False),
    "[p'diop]": (0.01, "1", False), "[mesh_i]": (1, "/[in_i]", False), "[e]": (1.602176634e-19, "C", True), "Bd": (1, "/s", True),

    "bit_s": (1, "1", False), "AU": (149597870691, "m", False),
    "Ao": (0.1, "nm", False), "st": (1, "m3", True), "g%": (1, "g/dL", True), "[diop]": (1, "m-1", False),
    "%[slope]": (1, "1", False), "[MET]": (3.5, "mL/min/kg", False), "[Ch]": (1 / 3, "mm", False), "[hnsf'U]": (1, "1", False),
    "[HPF]": (1, "1", False), "[LPF]": (1, "1", False),
    "bit": (1, "1", False), "By": (8, "bit", True),
}  # fmt: skip
# Temperatures start at another zero; they convert alone, never as part of a compound unit.
_OFFSETS: Final = {
    "Cel": Unit(1.0, (("K", 1),), 273.15),
    "[degF]": Unit(5 / 9, (("K", 1),), 459.67 * 5 / 9),
    "[degRe]": Unit(1.25, (("K", 1),), 273.15),
}
_COMPONENT: Final = re.compile(r"(?P<unit>(?:\[[^\]]*\]|[^\[\].()/{}\d+-]|10[*^])*)(?P<power>[+-]?\d+)?(?:\{[^{}]*\})?")
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")
_TRAILING_ANNOTATION: Final = re.compile(r"\A\{[^{}]*\}")
_MAX_CODE: Final = 120


@lru_cache(maxsize=4096)
def unit(code: str) -> Unit:
    """The base form of a UCUM code. Raises `UnknownUnitError`."""
    if code in _OFFSETS:
        return _OFFSETS[code]
    bare = _ANNOTATION.sub("", code) if "{" in code else code
    if not code or len(code) > _MAX_CODE or not code.isascii() or any(c.isspace() for c in bare):
        raise UnknownUnitError(code)
    factor, powers, rest = _term(code)
    if rest:
        raise UnknownUnitError(code)
    return Unit(factor, tuple(sorted((n, p) for n, p in powers.items() if p)))


def _term(code: str) -> tuple[float, dict[str, int], str]:
    """A product of components up to a closing bracket; returns what follows."""
    factor, powers, sign = 1.0, dict[str, int](), 1
    if code.startswith("/"):
        sign, code = -1, code[1:]
    while True:
        if code.startswith("("):
            inner, inner_powers, code = _term(code[1:])
            if not code.startswith(")"):
                raise UnknownUnitError(code)
            code = _TRAILING_ANNOTATION.sub("", code[1:], count=1)
        else:
            inner, inner_powers, code = _component(code)
        if inner == 0.0:
            raise UnknownUnitError(code)  # nothing can be counted in units of nothing, nor divided by them
        factor *= inner**sign
        for name, power in inner_powers.items():
            powers[name] = powers.get(name, 0) + sign * power
        if not code.startswith((".", "/")):
            return factor, powers, code
        sign, code = (1 if code[0] == "." else -1), code[1:]


def _component(code: str) -> tuple[float, dict[str, int], str]:
    """One unit with its exponent and annotation, or a bare integer factor."""
    number = re.match(r"(?!10[*^])\d+(?:\{[^{}]*\})?", code)
    if number:
        return float(re.match(r"\d+", code)[0]), {}, code[number.end() :]  # type: ignore[index]
    match = _COMPONENT.match(code)
    if match is None or match.end() == 0:
        raise UnknownUnitError(code)
    power = int(match["power"] or 1)
    factor, powers = _atom(match["unit"]) if match["unit"] else (1.0, ())
    if abs(power) > 30:
        raise UnknownUnitError(code)
    return factor**power, {n: p * power for n, p in powers}, code[match.end() :]


@lru_cache(maxsize=2048)
def _atom(code: str) -> tuple[float, tuple[tuple[str, int], ...]]:
    plain = _plain(code)
    if plain is not None:
        return plain
    for size in (1, 2):
        prefix, name = code[:size], code[size:]
        metric = name in _PREFIXED_BASES or (name in _DERIVED and _DERIVED[name][2])
        if prefix in _PREFIXES and metric:
            inner = _plain(name)
            if inner is not None:
                return inner[0] * _PREFIXES[prefix], inner[1]
    raise UnknownUnitError(code)


def _plain(code: str) -> tuple[float, tuple[tuple[str, int], ...]] | None:
    if code in _BASES:
        return 1.0, ((code, 1),)
    if code in _DERIVED:
        factor, definition, _ = _DERIVED[code]
        inner = unit(definition)
        return factor * inner.factor, inner.dimension
    return None


@lru_cache(maxsize=4096)
def is_unit(code: str) -> bool:
    """Whether this table knows the code."""
    try:
        unit(code)
    except UnknownUnitError:
        return False
    return True


@lru_cache(maxsize=8192)
def canonical(value: float, code: str) -> tuple[float, str] | None:
    """The value in base units with their code, rounded to 12 significant digits; None for an unknown unit."""
    try:
        found = unit(code)
    except UnknownUnitError:
        return None
    return _rounded(value * found.factor + found.offset), found.code


def convert(value: float, source: str, target: str) -> float:
    """A value in another unit of the same dimension. Raises `UnknownUnitError`, or `ValueError` across dimensions."""
    first, second = unit(source), unit(target)
    if first.dimension != second.dimension:
        raise ValueError(f"{source} and {target} measure different things")
    return _rounded((value * first.factor + first.offset - second.offset) / second.factor)


def _rounded(value: float) -> float:
    # Factors such as 1e-3 are not exact in binary: without rounding, 1 g/L and 100 mg/dL would differ in the last bit.
    return float(f"{value:.12g}")
