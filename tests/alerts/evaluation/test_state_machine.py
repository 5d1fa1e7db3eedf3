"""The one state machine: against Prometheus's loop written out alert by alert, and the
three that use it against each other."""

import random

import numpy as np
import pytest

import promql
from alerts.evaluation.state_machine import FIRING, INACTIVE, NEVER, PENDING, Holding, Seen, States, over_time
from alerts.evaluation.states import RuleState, Sample
from alerts.models import Flip, Rule, State
from alerts.rulefiles.evaluation import EvaluatedRule, Surroundings
from alerts.rulefiles.rules import GroupFields, RuleFields
from promql.values import Bools
from tests.alerts.scripted_rules import milliseconds, minute

MINUTES = 60
TIMES = np.array([milliseconds(minute(column)) for column in range(MINUTES)])
HOLDINGS = [(0, 0), (120, 0), (0, 180), (180, 120)]
everywhere = pytest.mark.parametrize(("for_seconds", "keep"), HOLDINGS)
seeds = pytest.mark.parametrize("seed", range(12))


def samples(seed: int, alerts: int = 3) -> Bools:
    """Whether each alert has a sample in each minute."""
    chance = random.Random(seed)
    return np.array([[chance.random() < 0.6 for _ in range(MINUTES)] for _ in range(alerts)])


def one_by_one(present: list[bool], holdings: list[Holding]) -> list[int]:
    """The states of one alert, as the loop over active alerts in Prometheus's `AlertingRule.Eval` goes through them."""
    codes = []
    code, active, missing = INACTIVE, 0, None
    for now, has_sample, holding in zip(TIMES.tolist(), present, holdings, strict=True):
        if has_sample:
            if code == INACTIVE:
                active = now
            missing = None
            code = FIRING if now - active >= holding.for_ms else PENDING
        elif code == FIRING and holding.keep_firing_ms:
            missing = now if missing is None else missing
            if now - missing >= holding.keep_firing_ms:
                code, missing = INACTIVE, None
        else:
            code = INACTIVE
        codes.append(code)
    return codes


@seeds
@everywhere
def test_all_alerts_at_once_go_as_each_alone(seed: int, for_seconds: int, keep: int) -> None:
    present, holding = samples(seed), Holding(for_seconds * 1000, keep * 1000)
    alone = [one_by_one(row, [holding] * MINUTES) for row in present.tolist()]
    assert over_time(present, TIMES, holding).tolist() == alone


@seeds
def test_a_rule_that_is_edited_meanwhile_judges_by_its_new_times(seed: int) -> None:
    present, chance = samples(seed), random.Random(-seed)
    holdings = [Holding(chance.choice([0, 120_000, 600_000]), chance.choice([0, 180_000])) for _ in range(MINUTES)]
    states, seen = States.inactive(len(present)), []
    for column, holding in enumerate(holdings):
        states = States.of(states.advance(Seen(present[:, column]), int(TIMES[column]), holding).as_rows())
        seen.append(states.codes.tolist())
    assert [*zip(*seen, strict=True)] == [tuple(one_by_one(row, holdings)) for row in present.tolist()]


@seeds
@everywhere
def test_the_evaluation_goes_as_the_machine(seed: int, for_seconds: int, keep: int) -> None:
    present = samples(seed)
    engine = RuleState(Rule(name="r", for_seconds=for_seconds, keep_firing_seconds=keep), {})
    seen = np.zeros(present.shape, dtype=np.int8)
    codes = {State.PENDING: PENDING, State.FIRING: FIRING}
    for column in range(MINUTES):
        slot = minute(column)
        engine.advance(slot, [Sample(str(row), {}, 1.0) for row in range(3) if present[row, column]], slot)
        for fingerprint, alert in engine.open.items():
            seen[int(fingerprint), column] = codes[State(alert.state)]
    assert over_time(present, TIMES, Holding(for_seconds * 1000, keep * 1000)).tolist() == seen.tolist()
    assert all(isinstance(flip, Flip) for flip in engine.flips)


@seeds
@everywhere
def test_the_unit_tests_of_rule_files_go_as_the_machine(seed: int, for_seconds: int, keep: int) -> None:
    present = samples(seed)
    load = promql.MemorySource()
    for row in range(3):
        load.add({"__name__": "load", "host": str(row)}, TIMES.tolist(), present[row].astype(float).tolist())
    rule = RuleFields(alert="R", expr="load > 0", for_=f"{for_seconds}s", keep_firing_for=f"{keep}s")
    evaluated = EvaluatedRule(rule, GroupFields(name="g"), Surroundings())
    seen = np.zeros(present.shape, dtype=np.int8)
    for column, at in enumerate(TIMES.tolist()):
        evaluated.evaluate(load, at, 0)
        for alert in evaluated.alerts.values():
            seen[int(alert.labels["host"]), column] = alert.code
    assert over_time(present, TIMES, Holding(for_seconds * 1000, keep * 1000)).tolist() == seen.tolist()


def test_an_alert_is_kept_from_its_first_miss_and_a_sample_ends_that() -> None:
    holding = Holding(keep_firing_ms=120_000)
    firing = States.of([(FIRING, 0, NEVER), (FIRING, 0, NEVER)])
    missed = firing.advance(Seen(np.array([False, False])), 60_000, holding)
    assert missed.as_rows() == [(FIRING, 0, 60_000), (FIRING, 0, 60_000)]
    assert missed.advance(Seen(np.array([True, False])), 120_000, holding).as_rows() == [
        (FIRING, 0, NEVER),
        (FIRING, 0, 60_000),
    ]
    assert missed.advance(Seen(np.array([False, False])), 180_000, holding).codes.tolist() == [INACTIVE, INACTIVE]


def test_no_alert_is_no_trouble() -> None:
    assert States.of([]).advance(Seen(np.zeros(0, dtype=bool)), 0, Holding()).as_rows() == []
