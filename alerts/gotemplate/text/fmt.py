"""Go's fmt: Sprintf, Sprint and Sprintln over the values of values.py, with its error texts."""

from __future__ import annotations

from typing import Any

from alerts.gotemplate.text.printer import NIL, Printer
from alerts.gotemplate.values import Duration, type_name

LARGEST_NUMBER = 1_000_000
"""Of a width or precision; Go takes none beyond."""


def sprintf(template: str, arguments: list[Any]) -> str:
    """fmt.Sprintf. Raises TooLong."""
    printer = Printer()
    reader = _Format(printer, template, arguments)
    at, end = 0, len(template)
    while at < end:
        found = template.find("%", at)
        if found < 0:
            printer.write(template[at:])
            break
        if found > at:
            printer.write(template[at:found])
        at = reader.verb(found + 1)
    if not reader.reordered and reader.next < len(arguments):
        _write_extra(printer, arguments[reader.next :])
    return printer.text()


def sprint(arguments: list[Any]) -> str:
    """fmt.Sprint: a space between two operands neither of which is a string. Raises TooLong."""
    printer = Printer()
    was_text = False
    for number, argument in enumerate(arguments):
        is_text = isinstance(argument, str)
        if number and not is_text and not was_text:
            printer.write(" ")
        printer.print(argument, "v")
        was_text = is_text
    return printer.text()


def sprintln(arguments: list[Any]) -> str:
    """fmt.Sprintln. Raises TooLong."""
    printer = Printer()
    for number, argument in enumerate(arguments):
        if number:
            printer.write(" ")
        printer.print(argument, "v")
    printer.write("\n")
    return printer.text()


def _write_extra(printer: Printer, arguments: list[Any]) -> None:
    """The arguments that no verb took."""
    printer.clear()
    printer.write("%!(EXTRA ")
    for number, argument in enumerate(arguments):
        printer.write(", " if number else "")
        if argument is None:
            printer.write(NIL)
        else:
            printer.write(f"{type_name(argument)}=")
            printer.print(argument, "v")
    printer.write(")")


class _Format:
    """Where a format's reading stands: the next argument, and what was said about indexes."""

    def __init__(self, printer: Printer, template: str, arguments: list[Any]) -> None:
        self.printer = printer
        self.template = template
        self.arguments = arguments
        self.next = 0
        self.reordered = False
        self.good_index = True

    def verb(self, at: int) -> int:
        """Prints what one `%…` says; `at` is behind the percent. The offset behind it."""
        printer, template = self.printer, self.template
        printer.clear()
        self.good_index = True
        at = self._flags(at)
        at, after_index = self._index(at)
        at, after_index = self._width(at, after_index)
        at, after_index = self._precision(at, after_index)
        if not after_index:
            at, after_index = self._index(at)
        if at >= len(template):
            printer.write("%!(NOVERB)")
            return at
        verb = template[at]
        if 0xD800 <= ord(verb) <= 0xDFFF:
            verb = "\ufffd"
        if verb == "%":
            printer.write("%")
        elif not self.good_index:
            printer.write(f"%!{verb}(BADINDEX)")
        elif self.next >= len(self.arguments):
            printer.write(f"%!{verb}(MISSING)")
        else:
            if verb == "v":
                printer.sharp_v, printer.sharp = printer.sharp, False
                printer.plus_v, printer.plus = printer.plus, False
            self.next += 1
            printer.print(self.arguments[self.next - 1], verb)
        return at + 1

    def _flags(self, at: int) -> int:
        printer, template = self.printer, self.template
        while at < len(template):
            flag = template[at]
            if flag == "#":
                printer.sharp = True
            elif flag == "0":
                printer.zero = not printer.minus
            elif flag == "+":
                printer.plus = True
            elif flag == "-":
                printer.minus, printer.zero = True, False
            elif flag == " ":
                printer.space = True
            else:
                break
            at += 1
        return at

    def _index(self, at: int) -> tuple[int, bool]:
        """`[n]`: the number of the argument to take next."""
        template = self.template
        if template[at : at + 1] != "[":
            return at, False
        self.reordered = True
        closing = template.find("]", at)
        if len(template) - at < 3 or closing < 0:
            self.good_index = False
            return at + 1, False
        number, behind = _number(template, at + 1, closing)
        if number is None or behind != closing:
            self.good_index = False
            return closing + 1, False
        if 1 <= number <= len(self.arguments):
            self.next = number - 1
        else:
            self.good_index = False
        return closing + 1, True

    def _width(self, at: int, after_index: bool) -> tuple[int, bool]:
        printer = self.printer
        if self.template[at : at + 1] == "*":
            width = self._star()
            if width is None:
                printer.write("%!(BADWIDTH)")
            elif width < 0:
                printer.minus, printer.zero, width = True, False, -width
            printer.width = width
            return at + 1, False
        printer.width, at = _number(self.template, at, len(self.template))
        if after_index and printer.width is not None:
            self.good_index = False
        return at, after_index

    def _precision(self, at: int, after_index: bool) -> tuple[int, bool]:
        printer, template = self.printer, self.template
        if at + 1 > len(template) - 1 or template[at] != ".":
            return at, after_index
        at += 1
        if after_index:
            self.good_index = False
        at, after_index = self._index(at)
        if template[at : at + 1] == "*":
            precision = self._star()
            printer.precision = None if precision is None or precision < 0 else precision
            if printer.precision is None:
                printer.write("%!(BADPREC)")
            return at + 1, False
        number, at = _number(template, at, len(template))
        printer.precision = number or 0
        return at, after_index

    def _star(self) -> int | None:
        """The next argument as a width or precision; None where it is no fitting integer."""
        if self.next >= len(self.arguments):
            return None
        argument = self.arguments[self.next]
        self.next += 1
        if isinstance(argument, Duration) and not argument.pointer:
            argument = argument.nanoseconds
        if not isinstance(argument, int) or isinstance(argument, bool) or abs(argument) > LARGEST_NUMBER:
            return None
        return int(argument)


def _number(text: str, at: int, end: int) -> tuple[int | None, int]:
    """Decimal digits from an offset on; None and the end where there are none or too many."""
    number: int | None = None
    while at < end and "0" <= text[at] <= "9":
        if (number or 0) > LARGEST_NUMBER:
            return None, end
        number = (number or 0) * 10 + ord(text[at]) - 48
        at += 1
    return number, at
