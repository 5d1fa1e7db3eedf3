"""How Go's fmt prints one operand: a value of values.py under a verb and its flags."""

from __future__ import annotations

from typing import Any

from alerts.gotemplate.bounds import MAX_DEPTH, MAX_OUTPUT, TemplateError, TooLong
from alerts.gotemplate.text.floats import format_float
from alerts.gotemplate.text.quote import can_backquote, is_print, quote
from alerts.gotemplate.values import (
    Data,
    Duration,
    QueryResult,
    Sample,
    Struct,
    Time,
    Uint8,
    is_map,
    to_bytes,
    type_name,
)

NIL = "<nil>"
BASES = {"b": "b", "o": "o", "O": "o", "d": "d", "v": "d", "x": "x", "X": "X"}
FLOAT_PRECISION = {"v": -1, "b": -1, "g": -1, "G": -1, "x": -1, "X": -1, "f": 6, "e": 6, "E": 6, "F": 6}
POINTER = 0xC000000000
"""An address to show; ours have none that mean anything."""


class Printer:
    """Go's pp and fmt in one: the output so far, and the flags of the verb at hand."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0
        self.clear()

    def clear(self) -> None:
        """No flags, no width, no precision."""
        self.minus = self.plus = self.sharp = self.space = self.zero = False
        self.plus_v = self.sharp_v = False
        self.width: int | None = None
        self.precision: int | None = None

    def text(self) -> str:
        return "".join(self.parts)

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            self.parts.append(text[: MAX_OUTPUT - self.size + len(text)])
            raise TooLong
        self.parts.append(text)

    def pad(self, text: str, zero: bool = False) -> None:
        """The text at the width; zeros only to the left."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            self.write(text)
            return
        if missing > MAX_OUTPUT:
            raise TooLong
        fill = ("0" if zero else " ") * missing
        self.write(text + fill if self.minus else fill + text)

    def bad_verb(self, verb: str, value: Any) -> None:
        if value is None:
            self.write(f"%!{verb}({NIL})")
            return
        self.write(f"%!{verb}({type_name(value)}=")
        self.print_value(value, "v", 0)
        self.write(")")

    def print(self, value: Any, verb: str) -> None:
        """One operand."""
        kind = type(value)
        if verb == "T":
            if value is None:
                self.pad(NIL, self.zero)
            else:
                self.format_string(type_name(value), "s")
        elif value is None:
            if verb == "v":
                self.pad(NIL, self.zero)
            else:
                self.bad_verb(verb, None)
        elif verb == "p":
            self.format_pointer(value)
        elif verb == "w":
            self.bad_verb(verb, value)
        elif kind is str:
            self.format_string(value, verb)
        elif kind is float:
            self.format_float(value, verb)
        else:
            self.print_value(value, verb, 0)

    def print_value(self, value: Any, verb: str, depth: int) -> None:
        """A value of any type, at any depth of lists and maps."""
        if isinstance(value, str):
            self.format_string(value, verb)
        elif isinstance(value, bool):
            if verb in "tv":
                self.pad("true" if value else "false", self.zero)
            else:
                self.bad_verb(verb, value)
        elif isinstance(value, int):
            self.format_integer(value, verb)
        elif isinstance(value, float):
            self.format_float(value, verb)
        elif value is None:
            if verb == "v":
                self.write("interface {}(nil)" if self.sharp_v else NIL)
            else:
                self.bad_verb(verb, None)
        elif isinstance(value, Duration | Time):
            self.format_time(value, verb)
        elif type(value) is Sample and depth:
            self.format_pointer(value, verb)
        else:
            self.print_composite(value, verb, depth)

    def print_composite(self, value: Any, verb: str, depth: int) -> None:
        """Maps, lists and structs. Raises TemplateError where they are nested too deeply."""
        if depth > MAX_DEPTH:
            raise TemplateError(f"the value is nested more than {MAX_DEPTH} deep")
        separator = ", " if self.sharp_v else " "
        if is_map(value):
            self.write(f"{type_name(value)}{{" if self.sharp_v else "map[")
            for number, key in enumerate(sorted(value, key=_by_bytes)):
                self.write(separator if number else "")
                self.print_value(key, verb, depth + 1)
                self.write(":")
                self.print_value(value[key], verb, depth + 1)
        elif isinstance(value, QueryResult):
            self.write(f"{type_name(value)}{{" if self.sharp_v else "[")
            for number, sample in enumerate(value):
                self.write(separator if number else "")
                self.print_value(sample, verb, depth + 1)
        elif isinstance(value, Sample | Data | Struct):
            pointer = "&" if type(value) is Sample else ""
            self.write(f"{pointer}{type_name(value).lstrip('*') if self.sharp_v else ''}{{")
            for number, (name, field) in enumerate(value.fields().items()):
                self.write(separator if number else "")
                self.write(f"{name}:" if self.plus_v or self.sharp_v else "")
                self.print_value(field, verb, depth + 1)
        closing = isinstance(value, Sample | Data | Struct) or self.sharp_v
        self.write("}" if closing else "]")

    def format_pointer(self, value: Any, verb: str = "p") -> None:
        if not (isinstance(value, Sample | Time | QueryResult) or is_map(value)) or verb not in "vpbodxX":
            self.bad_verb(verb, value)
        elif verb in "vp":
            sharp, self.sharp = self.sharp, not self.sharp
            self.format_integer(POINTER, "x")
            self.sharp = sharp
        else:
            self.format_integer(POINTER, verb)

    def format_time(self, value: Time | Duration, verb: str) -> None:
        if verb in "vsxXq" and not self.sharp_v:
            self.format_string(str(value), verb)
        elif isinstance(value, Duration):
            self.format_integer(value.nanoseconds, verb)
        else:
            self.bad_verb(verb, value)

    def format_string(self, text: str, verb: str) -> None:
        if verb == "v" and self.sharp_v:
            verb = "q"
        if verb == "x" or verb == "X":
            self.format_hex(text, verb)
            return
        if verb not in ("v", "s", "q"):
            self.bad_verb(verb, text)
            return
        if self.precision is not None:
            text = text[: self.precision]
        if verb == "q":
            text = f"`{text}`" if self.sharp and can_backquote(text) else quote(text, '"', self.plus)
        self.pad(text, self.zero)

    def format_hex(self, text: str, verb: str) -> None:
        """The string's bytes in hexadecimal."""
        data = to_bytes(text)[: self.precision]
        digits = data.hex(" ") if self.space else data.hex()
        if self.sharp and data:
            digits = "0x" + digits.replace(" ", " 0x")
        self.pad(digits if verb == "x" else digits.upper(), self.zero)

    def format_integer(self, value: int, verb: str) -> None:
        unsigned = type(value) is Uint8
        if verb in BASES:
            if verb == "v" and self.sharp_v and unsigned:
                self.sharp, verb = True, "x"
                self.digits(int(value), verb)
                self.sharp = False
            else:
                self.digits(int(value), verb)
        elif verb == "c":
            self.pad(_character(value), self.zero)
        elif verb == "q":
            self.pad(quote(_character(value), "'", self.plus), self.zero)
        elif verb == "U":
            self.format_unicode(value)
        else:
            self.bad_verb(verb, value)

    def digits(self, value: int, verb: str) -> None:
        """An integer in a base, with sign, prefix and leading zeros."""
        precision = 0
        if self.precision is not None:
            precision = self.precision
            if precision == 0 and value == 0:
                self.pad("")
                return
        elif self.zero and self.width is not None and not self.minus:
            precision = self.width - (value < 0 or self.plus or self.space)
        if precision > MAX_OUTPUT:
            raise TooLong
        text = format(abs(value), BASES[verb]).rjust(precision, "0")
        if self.sharp:
            if verb == "b":
                text = "0b" + text
            elif verb in "oO" and text[0] != "0":
                text = "0" + text
            elif verb in "xX":
                text = f"0{verb}{text}"
        if verb == "O":
            text = "0o" + text
        sign = "-" if value < 0 else "+" if self.plus else " " if self.space else ""
        self.pad(sign + text)

    def format_unicode(self, value: int) -> None:
        """U+0041, with `#` also the character."""
        code = value & 0xFFFFFFFFFFFFFFFF
        if (self.precision or 0) > MAX_OUTPUT:
            raise TooLong
        text = f"U+{code:X}" if code > 0xFFFF else f"U+{code:04X}"
        text = f"U+{text[2:].rjust(self.precision or 0, '0')}"
        if self.sharp and code <= 0x10FFFF and is_print(chr(code)):
            text += f" '{chr(code)}'"
        self.pad(text)

    def format_float(self, value: float, verb: str) -> None:
        default = FLOAT_PRECISION.get(verb)
        if default is None:
            self.bad_verb(verb, value)
            return
        if verb == "v" and self.width is None and self.precision is None and not self.flagged:
            self.write(format_float(value, "g", -1))
            return
        precision = default if self.precision is None else self.precision
        actual = {"v": "g", "F": "f"}.get(verb, verb)
        text = format_float(value, actual, precision)
        if text[0] not in "+-":
            text = "+" + text
        if self.space and text[0] == "+" and not self.plus:
            text = " " + text[1:]
        if text[1] in "IN":
            self.pad(text[1:] if text[1] == "N" and not self.space and not self.plus else text)
            return
        if self.sharp and verb != "b":
            text = _with_point(text, actual, precision)
        if self.plus or text[0] != "+":
            if self.zero and self.width is not None and self.width > len(text):
                self.write(text[0])
                self.width, width = self.width - 1, self.width
                self.pad(text[1:], True)
                self.width = width
            else:
                self.pad(text, self.zero)
        else:
            self.pad(text[1:], self.zero)

    @property
    def flagged(self) -> bool:
        return self.plus or self.space or self.sharp


def _character(code: int) -> str:
    return chr(code) if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"


def _by_bytes(key: Any) -> bytes:
    return to_bytes(str(key))


def _with_point(text: str, verb: str, precision: int) -> str:
    """With `#`: always a decimal point, and for %g the zeros at the end."""
    left = 0
    if verb in "gGx":
        left = 6 if precision == -1 else precision
    exponents = "pP" if verb in "xX" else "eEpP"
    cut = next((at for at, c in enumerate(text) if at and c in exponents), len(text))
    number, tail = text[:cut], text[cut:]
    seen = False
    for c in number[1:]:
        if c == ".":
            continue
        seen = seen or c != "0"
        left -= seen
    if "." not in number:
        if len(number) == 2 and number[1] == "0":
            left -= 1
        number += "."
    if left > MAX_OUTPUT:
        raise TooLong
    return f"{number}{'0' * max(left, 0)}{tail}"
