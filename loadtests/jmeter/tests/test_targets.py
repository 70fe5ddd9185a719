from collections.abc import Sequence

import pytest

from loadtests.jmeter.jtl import Sample
from loadtests.jmeter.plans import PLANS
from loadtests.jmeter.targets import (
    PROMISES,
    Targets,
    Verdict,
    judge_audit,
    judge_ledger,
    judge_outcomes,
    judge_samples,
)
from loadtests.jmeter.tests.making import sample, steady

NORMAL = steady(2000, 120.0, threads=50)


def missed(plan: str, samples: Sequence[Sample]) -> dict[str, str]:
    verdicts = judge_samples(PLANS[plan], samples, Targets())
    return {one.target: one.found for one in verdicts if not one.is_met}


@pytest.mark.parametrize("plan", ["inscription", "concurrency", "idempotency", "health", "soak"])
def test_a_normal_load_meets_all_targets(plan: str) -> None:
    assert missed(plan, NORMAL) == {}


@pytest.mark.parametrize(
    ("samples", "target"),
    [
        (steady(2000, 99.0, threads=50), "at least 100/s"),
        ([*NORMAL, *steady(120, 120.0, elapsed_ms=1000, threads=50)], "p95 < 1 s"),
        ([*NORMAL, *steady(30, 120.0, elapsed_ms=2000, threads=50)], "p99 < 2 s"),
        ([*NORMAL, *steady(21, 120.0, code="404", is_good=False, threads=50)], "errors < 1 %"),
        ([*NORMAL[:1998], *steady(2, 9.0, code="503", threads=50)], "availability > 99.9 %"),
    ],
)
def test_each_target_is_missed_alone_and_named(samples: list[Sample], target: str) -> None:
    assert list(missed("inscription", samples)) == [target]


def test_slow_ones_of_one_kind_are_not_hidden_by_many_quick_ones() -> None:
    slow = steady(100, 10.0, label="DELETE", elapsed_ms=1500, threads=50)

    assert missed("inscription", [*steady(9000, 500.0, threads=50), *slow]) == {
        "p95 < 1 s": "1.500 s (DELETE)"
    }


def test_what_fails_most_often_is_told() -> None:
    failed = [
        *steady(20, 9.0, code="404", is_good=False, failure="code expected"),
        *steady(40, 9.0, label="GET", code="500", is_good=False),
    ]

    found = missed("health", [*NORMAL, *failed])

    assert found["errors < 1 %"] == "2.91 % of 2,060; most often (40) GET: 500"


@pytest.mark.parametrize("promise", PROMISES)
def test_a_single_broken_promise_is_too_many(promise: str) -> None:
    broken = sample(is_good=False, failure=f"Test failed: {promise}")

    found = missed("concurrency", [*NORMAL, broken])

    assert promise in found["no answer breaks a promise"]


def test_the_promises_are_worded_as_in_the_plans() -> None:
    texts = [plan.path.read_text() for plan in PLANS.values()]

    assert all(any(promise in text for text in texts) for promise in PROMISES)


def test_while_it_breaks_only_disorder_counts_and_afterwards_all_but_the_rate() -> None:
    breaking = [
        *steady(500, 50.0, group="Step 5", elapsed_ms=9000),
        *steady(500, 50.0, group="Step 5", code="503"),
    ]
    calm = steady(200, 10.0, group="Recovery")
    ill = steady(200, 10.0, group="Recovery", code="503", elapsed_ms=3000)
    lost = steady(11, 1.0, group="Step 5", code="Non HTTP response code: x", is_good=False)

    assert missed("stress", [*breaking, *calm]) == {}
    assert list(missed("stress", [*breaking, *lost, *calm])) == ["errors while it breaks < 1 %"]
    assert set(missed("stress", [*breaking, *ill])) == {
        "p95 < 1 s",
        "p99 < 2 s",
        "availability > 99.9 %",
    }


def test_a_recovery_that_was_not_played_is_none() -> None:
    assert missed("stress", steady(500, 50.0, group="Step 5")) == {
        "Recovery was played": "it has no sample"
    }


def test_kafka_s_rate_is_that_of_the_open_model() -> None:
    label = PLANS["kafka"].rate_label
    closed = steady(9000, 500.0, label="closed")

    assert missed("kafka", [*closed, *steady(900, 120.0, label=label)]) == {}
    assert missed("kafka", [*closed, *steady(900, 60.0, label=label)]) == {
        "at least 100/s": "59.9/s"
    }
    assert missed("kafka", closed) == {"at least 100/s": "0.0/s"}


def test_other_targets_can_be_set() -> None:
    modest = Targets(1, 10, 20, 60, 10)
    samples = steady(100, 50.0, elapsed_ms=9000, code="503", is_good=False)

    verdicts = judge_samples(PLANS["health"], [*NORMAL[:100], *samples], modest)

    assert all(one.is_met for one in verdicts)


@pytest.mark.parametrize(
    ("ledger", "is_met"),
    [
        ({"adds_up": True, "problems": [], "sent": 9, "confirmed": 9}, True),
        ({"adds_up": False, "problems": ["2 duplicates"], "sent": 9}, False),
        ({"adds_up": True, "problems": ["1 open"]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_ledger_must_be_there_and_add_up(ledger: dict[str, object] | None, is_met: bool) -> None:
    assert judge_ledger(ledger).is_met == is_met


WHY = "No outcome came in time: see `enroll why {}`, and whether the services keep up."


@pytest.mark.parametrize(
    ("ledger", "is_met"),
    [
        ({"timed_out": 0, "late": 0}, True),
        ({"timed_out": 2, "late": 2}, True),
        ({"timed_out": 2, "late": 1}, False),
        ({"timed_out": 1, "late": 0}, False),
    ],
)
def test_an_outcome_may_be_late_but_none_may_be_lost(ledger: dict[str, int], is_met: bool) -> None:
    assert judge_outcomes(ledger, []).is_met == is_met


def test_of_a_lost_outcome_the_enrollment_is_named_with_what_to_do() -> None:
    samples = [
        *NORMAL,
        sample(code="timed_out", is_good=False, message=WHY.format("a1")),
        sample(code="rejected:section_full", message="Section S1 has no free seat."),
    ]

    assert judge_outcomes({"timed_out": 1, "late": 0}, samples).found == (
        f"1 never came, 0 came late: {WHY.format('a1').rstrip('.')}"
    )


def test_an_audit_with_violations_is_missed_and_names_some() -> None:
    assert judge_audit([]) == Verdict("the audit finds no broken promise", True, "0 violations")
    assert judge_audit([f"v{n}" for n in range(9)]).found == "9 violations: v0; v1; v2; v3; v4"
