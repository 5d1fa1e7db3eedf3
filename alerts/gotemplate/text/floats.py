"""Go's strconv.FormatFloat for float64."""

from __future__ import annotations

import math
import struct

from alerts.gotemplate.bounds import MAX_OUTPUT, TooLong

EXACT = 1100
"""No float64 has more significant digits than about 770."""


def format_float(value: float, verb: str, precision: int) -> str:
    """The number as the verb (b, e, E, f, g, G, x, X) writes it; precision -1 is the fewest digits that read back the
    same."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if verb == "g" or verb == "G":
        text = _shortest(value) if precision < 0 else _general(value, precision)
        return text if verb == "g" else text.upper()
    if precision > MAX_OUTPUT:
        raise TooLong
    if verb == "f":
        return f"{value:.{precision}f}"
    if verb == "e" or verb == "E":
        return f"{value:.{precision}{verb}}"
    return _binary(value) if verb == "b" else _hexadecimal(value, precision, verb)


def _shortest(value: float) -> str:
    """An exponent below 1e-4 and from 1e6, so a million is 1e+06."""
    sign, digits, point = _digits(value)
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        return sign + _scientific(digits, exponent)
    return sign + _plain(digits, point)


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, significant digits, and how many of them stand before the point."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole) + len(fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if math.copysign(1, value) < 0 else ""
    return (sign, digits, point) if digits else (sign, "0", 1)


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _general(value: float, precision: int) -> str:
    """%g with a precision: Python's agrees with Go's, which writes no zeros at the end."""
    return f"{value:.{min(precision, EXACT)}g}"


def _binary(value: float) -> str:
    mantissa, exponent = _parts(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    return f"{sign}{mantissa}p{exponent - 52:+d}"


def _parts(value: float) -> tuple[int, int]:
    """The 53 bits and the exponent of their first."""
    bits = struct.unpack(">Q", struct.pack(">d", value))[0]
    exponent, mantissa = bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    return (mantissa | 1 << 52, exponent - 1023) if exponent else (mantissa, -1022)


def _hexadecimal(value: float, precision: int, verb: str) -> str:
    mantissa, exponent = _parts(value)
    exponent = exponent if mantissa else 0
    mantissa <<= 8
    while mantissa and not mantissa & 1 << 60:
        mantissa, exponent = mantissa << 1, exponent - 1
    if 0 <= precision < 15:
        shift = precision * 4
        extra = mantissa << shift & (1 << 60) - 1
        mantissa >>= 60 - shift
        if extra | mantissa & 1 > 1 << 59:
            mantissa += 1
        mantissa <<= 60 - shift
        if mantissa & 1 << 61:
            mantissa, exponent = mantissa >> 1, exponent + 1
    lead, fraction = mantissa >> 60 & 1, f"{mantissa & (1 << 60) - 1:015x}"
    fraction = fraction.rstrip("0") if precision < 0 else fraction[:precision].ljust(precision, "0")
    sign = "-" if math.copysign(1, value) < 0 else ""
    text = f"{sign}0x{lead}{'.' if fraction else ''}{fraction}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return text if verb == "x" else text.upper()
