"""Every case of tests/promql/cases answers what is written there."""

import math
import re
from pathlib import Path

import pytest

import promql
from tests.promql.casefile import Case, read_cases, read_series, read_values

CASES = [case for path in sorted((Path(__file__).parent / "cases").glob("*.test")) for case in read_cases(path)]
RELATIVE_ERROR = 1e-12
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.place)
def test_the_query_answers_what_the_case_file_says(case: Case) -> None:
    fail = [line for line in case.expected if line.startswith("expect fail")]
    if fail:
        with pytest.raises(promql.PromQLError) as caught:
            evaluate(case)
        wanted = fail[0].removeprefix("expect fail").strip().removeprefix("msg:").strip()
        assert wanted in str(caught.value)
        return
    result = evaluate(case)
    check_notes(case, result)
    text = [line for line in case.expected if line.startswith("expect string")]
    if text:
        assert f'expect string "{result.string}"' == text[0]
        return
    check_series(case, result)


def evaluate(case: Case) -> promql.Result:
    query = promql.parse(case.expr, experimental=True)
    if case.step_ms:
        return promql.range(query, case.source, case.start_ms, case.end_ms, case.step_ms)
    return promql.instant(query, case.source, case.start_ms)


def check_notes(case: Case, result: promql.Result) -> None:
    for kind, notes in (("warn", result.warnings), ("info", result.infos)):
        for line in case.expected:
            if line.startswith(f"expect {kind}"):
                wanted = line.removeprefix(f"expect {kind}").strip()
                assert any(wanted in note for note in notes), notes
            if line == f"expect no_{kind}":
                assert not notes


def check_series(case: Case, result: promql.Result) -> None:
    wanted = [read_expected(line) for line in case.expected if not line.startswith("expect")]
    if "expect ordered" in case.expected:
        assert [labels for labels, _ in wanted] == result.labels
    found = {frozenset(labels.items()): row for row, labels in enumerate(result.labels)}
    assert len(found) == len(result.labels), "two rows of one label set"
    assert {frozenset(labels.items()) for labels, _ in wanted} == set(found), result.labels
    for labels, values in wanted:
        row = found[frozenset(labels.items())]
        got = [
            float(value) if there else None
            for value, there in zip(result.values[row], result.present[row], strict=True)
        ]
        assert len(got) == len(values), got
        assert all(same(one, other) for one, other in zip(got, values, strict=True)), f"{labels}: {got} is not {values}"


def read_expected(line: str) -> tuple[dict[str, str], list[float | None]]:
    if re.match(r"^(?:[+-]?[0-9.]|[+-]?Inf|NaN|_)", line):
        return {}, read_values(line)
    labels, values = read_series(line)
    return labels, read_values(values)


def same(got: float | None, wanted: float | None) -> bool:
    if got is None or wanted is None:
        return got is wanted
    if math.isnan(got) or math.isnan(wanted):
        return math.isnan(got) and math.isnan(wanted)
    if got == wanted:
        return got != 0 or math.copysign(1, got) == math.copysign(1, wanted)
    return math.isclose(got, wanted, rel_tol=RELATIVE_ERROR)
