"""The load that is made up for a storm and for drills."""

from collections import Counter
from itertools import islice
from random import Random

from loadtests.chaos.workload import (
    Asks,
    Message,
    ample_campus,
    plan_load,
    scarce_campus,
    steady_load,
)

REQUESTS = 2000
PER_SECOND = 20.0


def planned(seed: int) -> list[Message]:
    random = Random(seed)
    return plan_load(random, scarce_campus(random, REQUESTS), REQUESTS, PER_SECOND)


def test_the_same_seed_gives_the_same_load_and_another_seed_another() -> None:
    assert planned(7) == planned(7)
    assert planned(7) != planned(8)


def test_a_load_is_spread_over_its_time_with_cancels_repeats_and_contradictions() -> None:
    load = planned(7)
    seats = [one for one in load if one.asks is Asks.SEATS]
    bodies = Counter((one.enrollment_id, one.sections) for one in seats)
    contents = Counter(enrollment_id for enrollment_id, _ in bodies)

    assert len(contents) == REQUESTS
    assert load == sorted(load, key=lambda one: one.at_seconds)
    assert 0 <= load[0].at_seconds < load[-1].at_seconds <= REQUESTS / PER_SECOND
    assert sum(one.asks is Asks.CANCEL for one in load) > REQUESTS / 20
    assert sum(count > 1 for count in bodies.values()) > REQUESTS / 20
    assert sum(count > 1 for count in contents.values()) > REQUESTS / 50


def test_all_messages_of_an_enrollment_are_of_one_student() -> None:
    students = {(one.enrollment_id, one.student_id) for one in planned(7)}

    assert len(students) == REQUESTS


def test_a_steady_load_asks_for_no_seat_twice_and_for_none_that_is_not_there() -> None:
    campus = ample_campus(students=10, sections=3)
    load = list(steady_load(Random(7), campus, PER_SECOND))
    asked = Counter((one.student_id, one.sections) for one in load)
    (second,) = islice(load, 1, 2)

    assert len(load) == 30
    assert max(asked.values()) == 1
    assert set(campus.seats.values()) == {10}
    assert second.at_seconds == 1 / PER_SECOND
