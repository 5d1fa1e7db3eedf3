"""printf, print and println, compared with what Go's fmt writes."""

import math

import pytest

from alerts.gotemplate.bounds import TooLong
from alerts.gotemplate.text.fmt import sprint, sprintf, sprintln
from alerts.gotemplate.values import AnyMap, QueryResult, Sample, Uint8

LABELS = {"b": "2", "a": "x y"}


@pytest.mark.parametrize(
    ("text", "arguments", "written"),
    [
        # any value
        ("%v %v %v %v", ["s", 1, 2.5, True], "s 1 2.5 true"),
        ("%v %+v %#v", [LABELS, LABELS, LABELS], 'map[a:x y b:2] map[a:x y b:2] map[string]string{"a":"x y", "b":"2"}'),
        ("%T %T %T %T %T %T", ["s", 1, 2.5, True, None, LABELS], "string int float64 bool <nil> map[string]string"),
        ("%T %v %#v", [AnyMap(a=1, b=None)] * 3,
         'map[string]interface {} map[a:1 b:<nil>] map[string]interface {}{"a":1, "b":interface {}(nil)}'),
        ("%v %s %d", [None, None, None], "<nil> %!s(<nil>) %!d(<nil>)"),
        ("%5v|%-5v|%05v", [None, True, 7], "<nil>|true |00007"),
        ("%t %t", [True, 1], "true %!t(int=1)"),
        ("%v %+v", [Sample({"a": "1"}, 2.0)] * 2, "&{map[a:1] 2} &{Labels:map[a:1] Value:2}"),
        # strings
        ("%s|%10s|%-10s|%.2s|%010s", ["héllo"] * 5, "héllo|     héllo|héllo     |hé|00000héllo"),
        ("%q %+q %#q %#q", ["é\t\"", "é\t\"", "a\"b", "a`b"], '"é\\t\\"" "\\u00e9\\t\\"" `a"b` "a`b"'),
        ("%q", ["\x00\x7f\u200b\ufeff\U000e0001"], r'"\x00\x7f\u200b\ufeff\U000e0001"'),
        ("%x %X % x %#x %# X %.1x", ["hé"] * 6, "68c3a9 68C3A9 68 c3 a9 0x68c3a9 0X68 0XC3 0XA9 68"),
        ("%q", ["\udcff"], r'"\xff"'),
        ("%d %z %!", ["hi", "hi", "hi"], "%!d(string=hi) %!z(string=hi) %!!(string=hi)"),
        # integers
        ("%d|%5d|%-5d|%05d|%+d|% d|%+05d", [42] * 7, "42|   42|42   |00042|+42| 42|+0042"),
        ("%.3d|%8.3d|%-8.3d|%08.3d|%.0d|", [7, -7, 7, 7, 0], "007|    -007|007     |     007||"),
        ("%b %o %O %x %X %#b %#o %#x %#X", [10] * 9, "1010 12 0o12 a A 0b1010 012 0xa 0XA"),
        ("%c %q %U %#U %#q %+q", [233] * 6, "é 'é' U+00E9 U+00E9 'é' 'é' '\\u00e9'"),
        ("%c %U %#x", [0x110000, -1, -255], "\ufffd U+FFFFFFFFFFFFFFFF -0xff"),
        ("%v %#v %T", [Uint8(97)] * 3, "97 0x61 uint8"),
        ("%d %s", [-(2**63), 1], "-9223372036854775808 %!s(int=1)"),
        # floats
        ("%v %v %v %v %v", [1e6, 123456.0, 1e-5, 1e20, -0.0], "1e+06 123456 1e-05 1e+20 -0"),
        ("%f %.2f %8.2f|%-8.2f|%08.2f|%+.1f|% .1f", [3.14159] * 7, "3.141590 3.14     3.14|3.14    |00003.14|+3.1| 3.1"),
        ("%e %E %.1e %g %G %.3g", [123456.789] * 6, "1.234568e+05 1.234568E+05 1.2e+05 123456.789 123456.789 1.23e+05"),
        ("%F %#g %#v %#.3g %#x", [1.0] * 5, "1.000000 1.00000 1 1.00 0x1.0000p+00"),
        ("%x %X %.2x %x %x", [3.14, -0.5, 1.999, 0.0, 5e-324],
         "0x1.91eb851eb851fp+01 -0X1P-01 0x1.00p+01 0x0p+00 0x1p-1074"),
        ("%b", [1.0], "4503599627370496p-52"),
        ("%v %5v %-5v| %+v %05v", [math.nan, math.inf, -math.inf, math.inf, math.nan], "NaN  +Inf -Inf | +Inf   NaN"),
        ("%+010.1f|%-+10.1f|%010d", [-3.14159, 3.14159, -5], "-0000003.1|+3.1      |-000000005"),
        ("%d %s %q %c", [1.0, 1.0, 1.0, 1.0], "%!d(float64=1) %!s(float64=1) %!q(float64=1) %!c(float64=1)"),
        # maps and lists pass the verb on
        ("%s %d %q", [LABELS, LABELS, {"a": "b"}],
         'map[a:x y b:2] map[%!d(string=a):%!d(string=x y) %!d(string=b):%!d(string=2)] map["a":"b"]'),
        ("%v", [QueryResult()], "[]"),
        # width and precision from arguments
        ("%*d|%-*d|%*d", [5, 1, 5, 2, -5, 3], "    1|2    |3    "),
        ("%.*f %*.*f", [2, 3.14159, 8, 1, 3.14159], "3.14      3.1"),
        ("%*d", ["x", 1], "%!(BADWIDTH)1"),
        ("%.*d %.*d", [-1, 5, "x", 6], "%!(BADPREC)5 %!(BADPREC)6"),
        ("%*d", [10_000_001, 1], "%!(BADWIDTH)1"),
        ("%100000001d", [1], "%!(NOVERB)%!(EXTRA int=1)"),
        # argument indexes
        ("%[2]d %[1]d %d", [1, 2], "2 1 2"),
        ("%[2]*[1]d|%[3]*.[2]*[1]f", [12.0, 2, 6], "%!d(float64=12)| 12.00"),
        ("%[3]d %[x]d %[]d %[0]d %[1", [1], "%!d(BADINDEX) %!d(BADINDEX) %!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"),
        ("%[1]2d %[1].2d", [1], "%!d(BADINDEX) %!d(BADINDEX)"),
        # too few, too many, none
        ("%d %d", [1], "1 %!d(MISSING)"),
        ("%d", [1, "two", None, 3.0], "1%!(EXTRA string=two, <nil>, float64=3)"),
        ("%", [], "%!(NOVERB)"),
        ("100%% %5% %é", [1], "100% % %!é(int=1)"),
    ],
)  # fmt: skip
def test_sprintf_writes_what_go_writes(text: str, arguments: list[object], written: str) -> None:
    assert sprintf(text, arguments) == written


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ([], ""),
        ([1, 2], "1 2"),
        (["a", "b"], "ab"),
        ([1, "a", 2], "1a2"),
        ([1, 2, "a", None, 2.5], "1 2a<nil> 2.5"),
    ],
)
def test_print_puts_spaces_between_operands_that_are_no_strings(arguments: list[object], written: str) -> None:
    assert sprint(arguments) == written


def test_println_always_puts_spaces() -> None:
    assert sprintln([1, "a", "b", 2.0]) == "1 a b 2\n"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("%70000d", [1]),
        ("%.70000d", [1]),
        ("%-70000s", ["x"]),
        ("%070000d", [1]),
        ("%070000f", [1.5]),
        ("%.70000f", [1.5]),
        ("%.70000e", [1.5]),
        ("%.70000x", [1.5]),
        ("%#.70000g", [1.5]),
        ("%.70000U", [65]),
        ("%1000000v", [None]),
        ("%*d", [1_000_000, 1]),
        ("%40000d" * 2, [1, 2]),
    ],
)
def test_a_text_over_the_bound_is_not_built(text: str, arguments: list[object]) -> None:
    with pytest.raises(TooLong):
        sprintf(text, arguments)


def test_a_precision_that_makes_nothing_longer_is_taken() -> None:
    assert sprintf("%.1000000s %.1000000g", ["x", 0.5]) == "x 0.5"
