"""`manage.py rules`: files are taken and refused as promtool takes and refuses them; what is newer than the promtool at
hand is tested by itself."""

import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command

from alerts.rulefiles.notation import NotationError, read_labels, read_values
from alerts.rulefiles.rules import read_rule_file
from promql import STALE_NAN
from promql.source import is_stale
from tests.conftest import require_program

CASES = Path(__file__).parent / "cases"


def is_taken(action: str, *files: Path) -> bool:
    """Whether the command's exit code is 0."""
    try:
        call_command("rules", action, *map(str, files))
    except SystemExit as end:
        return end.code == 0
    return True


def promtool(*arguments: str) -> bool:
    """Whether promtool's is."""
    return subprocess.run([require_program("promtool"), *arguments], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "name",
    ["passes.yml", "long_steps.yml", "subquery_step.yml", *sorted(path.name for path in CASES.glob("fails_*.yml"))],
)
def test_a_unit_test_file_has_the_verdict_of_promtool(name: str) -> None:
    assert (
        is_taken("test", CASES / name) == promtool("test", "rules", str(CASES / name)) == (not name.startswith("fails"))
    )


@pytest.mark.parametrize("name", ["newer.yml", "newer_with_rules.yml"])
def test_fields_of_prometheus_3_are_understood(name: str) -> None:
    assert is_taken("test", CASES / name)


@pytest.mark.parametrize("name", ["rules.yml", *sorted(path.name for path in CASES.glob("refused_*.yml"))])
def test_a_rule_file_is_taken_or_refused_as_by_promtool(name: str) -> None:
    assert is_taken("check", CASES / name) == promtool("check", "rules", str(CASES / name)) == (name == "rules.yml")


def test_every_file_is_looked_at_and_one_that_fails_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert not is_taken("test", CASES / "fails_other_value.yml", CASES / "subquery_step.yml", CASES / "not there.yml")
    said = capsys.readouterr()
    assert said.out == f"{CASES}/subquery_step.yml: SUCCESS\n"
    assert said.err.splitlines() == [
        f"{CASES}/fails_other_value.yml: FAILED: expr: '1', time: 0,",
        "    exp: {} 2",
        "    got: {} 1",
        f"{CASES}/not there.yml: cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("name", "place", "arguments"),
    [
        ("bad_rules.yml", "6:1", "could not parse expression"),
        ("refused_unknown_field.yml", "3:35", "unknown field `fro`"),
        ("refused_duration.yml", "3:35", "not a duration"),
        ("refused_template.yml", "3:66", "annotation 's'"),
        ("refused_same_key.yml", "3:5", "already defined"),
        ("refused_same_group.yml", "3:6", "repeated in the same file"),
    ],
)
def test_a_problem_says_where_it_is(name: str, place: str, arguments: str) -> None:
    [problem] = read_rule_file((CASES / name).read_text(), name).problems
    line, column = place.split(":")
    assert str(problem).startswith(f"{name}:{line}:")
    assert arguments in problem.message
    if name != "bad_rules.yml":
        assert problem.column == int(column)


def test_a_rule_that_stands_twice_is_named_and_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "twice.yml"
    file.write_text("groups: [{name: g, rules: [{record: a, expr: '1'}, {record: a, expr: '2'}]}]")
    assert is_taken("check", file)
    assert capsys.readouterr().out.endswith(": a with the labels {} is there more than once\n")


def test_aliases_that_multiply_are_refused_and_not_unfolded() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    [problem] = read_rule_file(text, "bomb.yml").problems
    assert "more than 500,000 values" in problem.message


def test_values_are_written_as_in_promtool() -> None:
    found = read_values("1 -2+4x3 1-2x2 7x2 _ _x2 stale .5 1e3 0x1 -Inf")
    assert found[:17] == [1, -2, 2, 6, 10, 1, -1, -3, 7, 7, 7, None, None, None, found[14], 0.5, 1000]
    assert is_stale([found[14], STALE_NAN]).all()
    assert found[17:] == [0, 0, float("-inf")]


@pytest.mark.parametrize("text", ["1 two", "1+2", "{{schema:1}}", "1x99999999", "x3"])
def test_other_values_are_refused(text: str) -> None:
    with pytest.raises(NotationError):
        read_values(text)


def test_labels_are_those_of_a_series() -> None:
    assert read_labels('up{job="a", empty=""}') == {"__name__": "up", "job": "a"}
    assert read_labels("{}") == {}
    for text in ('up{job!="a"}', "up[5m]", "up + 1", "up offset 5m"):
        with pytest.raises(NotationError):
            read_labels(text)
