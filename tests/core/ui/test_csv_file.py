"""What a client named is no formula in a spreadsheet."""

import csv
import io

import pytest

from core.ui.csv_file import CsvFile


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "+Info"])
def test_a_text_that_begins_like_a_formula_is_a_text(text: str) -> None:
    file = CsvFile("x.csv")
    file.add([text, 1])
    assert [*csv.reader(io.StringIO(file.response.content.decode(), newline=""))] == [[f"'{text}", "1"]]


@pytest.mark.parametrize("value", ["-1", "-1.5", "+Inf", "-Inf", "-1e-07", "-5e+06", "gpt-4o", "a=b", "", -1.5, None])
def test_numbers_and_other_texts_stay_as_they_are(value: object) -> None:
    file = CsvFile("x.csv")
    file.add([value, "end"])
    assert file.response.content.decode() == f"{'' if value is None else value},end\r\n"
