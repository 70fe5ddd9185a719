from typing import Any

import pytest

from loadtests.jmeter.comparing import Comparison, Cost, as_text, compared, verdicts_on
from loadtests.jmeter.plans import PLANS
from loadtests.jmeter.sightings import Asked, Sightings
from loadtests.jmeter.tests.making import sample, steady

LABEL = PLANS["kafka"].rate_label
SOUND: dict[str, Any] = {"adds_up": True, "problems": [], "sent": 100, "send_delay_ms_max": 7}


def seen(count: int, *, sent_ms: float, logged_ms: float, decided_ms: float) -> Sightings:
    """Sightings of requests that are due one each 10 ms; times are from then on."""
    found = Sightings()
    for number in range(count):
        name, due_ms = str(number).encode(), 10.0 * number
        found.asked[name] = Asked(due_ms + sent_ms, due_ms + logged_ms)
        found.decided_ms[name] = due_ms + decided_ms
    return found


def test_each_counts_from_its_own_moment_to_the_outcome() -> None:
    samples = steady(100, 100.0, label=LABEL, elapsed_ms=50)

    found = compared(samples, seen(100, sent_ms=1, logged_ms=4, decided_ms=49), rise_requests=0)

    assert found == Comparison([50.0] * 100, [48.0] * 100, [45.0] * 100)
    assert found.ratios["p50"] == 1.042


def test_the_rise_is_left_out_of_both_whatever_the_order_in_which_they_ended() -> None:
    slow_rise = steady(40, 100.0, label=LABEL, elapsed_ms=900)
    plateau = [sample(began_ms=400 + 10 * n, label=LABEL, elapsed_ms=20) for n in range(60)]
    others = seen(100, sent_ms=0, logged_ms=1, decided_ms=20)
    for number in range(40):
        others.decided_ms[str(number).encode()] += 880

    found = compared([*plateau, *slow_rise], others, rise_requests=40)

    assert found == Comparison([20.0] * 60, [20.0] * 60, [19.0] * 60)


def test_what_only_one_has_seen_makes_a_difference() -> None:
    samples = [
        *steady(99, 100.0, label=LABEL),
        sample(began_ms=990, label=LABEL, code="timed_out", is_good=False, elapsed_ms=60_000),
        *steady(9, 1.0, label="send", is_good=False),
    ]
    others = seen(100, sent_ms=0, logged_ms=0, decided_ms=50)

    [counts, *times] = verdicts_on(compared(samples, others, 0), SOUND)

    assert (counts.is_met, counts.found) == (False, "99 and 100")
    assert all(one.is_met for one in times)


@pytest.mark.parametrize(
    ("sampler", "observer", "missed"),
    [
        ([100.0] * 100, [100.0] * 100, []),
        ([109.0] * 100, [100.0] * 100, []),
        ([111.0] * 100, [100.0] * 100, ["p50 agrees within 10 %"]),
        ([89.0] * 100, [100.0] * 100, ["p50 agrees within 10 %"]),
        ([100.0] * 98 + [124.0] * 2, [100.0] * 100, []),
        ([100.0] * 98 + [126.0] * 2, [100.0] * 100, ["p99 agrees within 25 %"]),
        ([100.0] * 98 + [74.0] * 2, [100.0] * 98 + [101.0] * 2, []),  # they are below p99
    ],
)
def test_percentiles_may_differ_by_so_much(
    sampler: list[float], observer: list[float], missed: list[str]
) -> None:
    verdicts = verdicts_on(Comparison(sorted(sampler), observer, observer), SOUND)

    assert [one.target for one in verdicts if not one.is_met] == missed


@pytest.mark.parametrize("ledger", [None, SOUND | {"adds_up": False}])
def test_where_nothing_was_seen_or_nothing_adds_up_nothing_agrees(
    ledger: dict[str, Any] | None,
) -> None:
    assert not any(one.is_met for one in verdicts_on(Comparison([], [], []), ledger))


def test_the_text_has_a_row_for_each_and_says_what_jmeter_took() -> None:
    found = Comparison([20.0] * 100, [16.0] * 100, [15.0] * 100)

    text = as_text(found, verdicts_on(found, SOUND), SOUND, Cost(50.0, 25.0, 2.0))

    assert "| sampler: from the moment it was due | 100 | 20.0 | 20.0 | 20.0 | 20.0 |" in text
    assert "| sampler / sent | | 1.250 | 1.250 | 1.250 | 1.250 |" in text
    assert "MISSED p50 agrees within 10 %: sampler / observer = 1.250" in text
    assert "met    p99 agrees within 25 %: sampler / observer = 1.250" in text
    assert "JMeter took 25.0 s of processor time in 50.0 s: 50 % of one processor" in text
    assert "at most 7 ms behind its schedule" in text
