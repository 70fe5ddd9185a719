"""The clock that tells how long a reader is behind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.identifiers import PartitionKey
from shared.log_clock import LogClock

FIRST = PartitionKey("t", 0)
SECOND = PartitionKey("t", 1)


def test_nothing_seen_is_nothing_unread() -> None:
    assert LogClock().age(10, {}) == 0


def test_a_reader_at_the_end_is_not_behind() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 5, SECOND: 0})

    assert clock.age(9, {FIRST: 5}) == 0


def test_an_unread_message_ages_from_the_first_look_that_saw_it() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 5})
    clock.note(2, {FIRST: 6})
    clock.note(3, {FIRST: 9})

    assert clock.age(10, {FIRST: 5}) == 8


def test_the_oldest_unread_message_of_all_partitions_counts() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 1, SECOND: 0})
    clock.note(2, {FIRST: 1, SECOND: 4})

    assert clock.age(10, {FIRST: 0, SECOND: 4}) == 9
    assert clock.age(10, {FIRST: 1, SECOND: 3}) == 8


def test_who_reads_on_is_less_behind() -> None:
    clock = LogClock()
    for second in range(1, 6):
        clock.note(second, {FIRST: second})

    ages = [clock.age(10, {FIRST: position}) for position in range(6)]

    assert ages == [9, 8, 7, 6, 5, 0]


def test_a_log_that_stands_still_keeps_the_time_at_which_it_came_there() -> None:
    clock = LogClock()
    for second in range(1, 9):
        clock.note(second, {FIRST: 3})

    assert clock.age(9, {FIRST: 2}) == 8


def test_a_message_that_comes_after_all_was_read_ages_from_then() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 3})
    assert clock.age(2, {FIRST: 3}) == 0

    clock.note(7, {FIRST: 4})

    assert clock.age(8, {FIRST: 3}) == 1


def test_a_reader_that_must_begin_again_is_behind_from_the_next_look() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 3})
    assert clock.age(2, {FIRST: 3}) == 0

    clock.note(5, {FIRST: 3})

    assert clock.age(6, {FIRST: 0}) == 1


def test_a_partition_without_a_position_is_unread() -> None:
    clock = LogClock()
    clock.note(1, {FIRST: 1, SECOND: 1})

    assert clock.age(4, {FIRST: 1}) == 3


def test_a_clock_that_stood_still_gives_no_negative_age() -> None:
    clock = LogClock()
    clock.note(5, {FIRST: 1})

    assert clock.age(4, {}) == 0


def test_what_the_caller_does_with_its_mapping_later_does_not_count() -> None:
    clock, ends = LogClock(), {FIRST: 1}
    clock.note(1, ends)
    ends[FIRST] = 0

    assert clock.age(2, {}) == 1


@pytest.mark.parametrize("notes_max", [2, 3, 10])
def test_however_far_behind_the_oldest_is_known_and_memory_is_bounded(notes_max: int) -> None:
    clock = LogClock(notes_max)
    for second in range(1, 5000):
        clock.note(second, {FIRST: second})
        assert len(clock._notes) <= notes_max

    assert clock.age(5000, {}) == 4999


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 60), st.integers(2, 9))
def test_thinned_out_it_still_tells_who_is_behind_and_says_no_more_than_the_truth(
    growth: list[int], position: int, notes_max: int
) -> None:
    clock, exact, end = LogClock(notes_max), LogClock(1000), 0
    for second, more in enumerate(growth):
        end += more
        clock.note(second, {FIRST: end})
        exact.note(second, {FIRST: end})
    now = len(growth)

    age, truth = clock.age(now, {FIRST: position}), exact.age(now, {FIRST: position})

    assert age <= truth
    assert (age > 0) == (truth > 0)
