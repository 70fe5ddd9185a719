import pytest

from loadtests.jmeter.figures import figures_of, percentile, plateau_rate_of, rate_of
from loadtests.jmeter.tests.making import sample, steady


@pytest.mark.parametrize(
    ("times", "share", "expected"),
    [
        ([7], 0.5, 7),
        ([1, 2], 0.5, 1),
        (list(range(1, 101)), 0.95, 95),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 11)), 0.95, 10),
        ([1, 2, 3], 1.0, 3),
    ],
)
def test_a_percentile_is_a_time_that_was_measured(
    times: list[int], share: float, expected: int
) -> None:
    assert percentile(times, share) == expected


def test_figures_count_times_errors_refusals_and_what_was_away() -> None:
    samples = [
        *(sample(elapsed_ms=10) for _ in range(96)),
        sample(elapsed_ms=20, code="503"),
        sample(elapsed_ms=30, code="404", is_good=False),
        sample(elapsed_ms=40, code="500", is_good=False),
        sample(elapsed_ms=15_000, code="Non HTTP response code: x", is_good=False),
    ]

    found = figures_of(samples)

    assert (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms) == (10, 10, 40, 15_000)
    assert (found.error_share, found.refused, found.available_share) == (0.03, 1, 0.97)


def test_a_rate_is_taken_from_the_first_beginning_to_the_last_end() -> None:
    assert rate_of(steady(101, 100.0, elapsed_ms=0)) == pytest.approx(101)


def test_ramp_up_and_end_are_no_part_of_a_plateau() -> None:
    ramp_up = steady(30, 1.0, threads=10)
    full = [sample(began_ms=30_000 + 5 * n, threads=50) for n in range(2000)]
    end = [sample(began_ms=40_000 + 1000 * n, threads=5) for n in range(10)]

    assert plateau_rate_of([*ramp_up, *full, *end]) == pytest.approx(200, rel=0.01)


def test_a_plateau_in_which_nothing_is_answered_lowers_the_rate() -> None:
    busy = steady(500, 100.0, threads=50)
    after_a_stall = [sample(began_ms=15_000 + 10 * n, threads=50) for n in range(500)]

    assert plateau_rate_of([*busy, *after_a_stall]) == pytest.approx(50, rel=0.01)


def test_threads_that_hardly_run_together_have_the_rate_of_the_whole() -> None:
    samples = [*steady(100, 10.0, threads=2), sample(began_ms=10_000, threads=9)]

    assert plateau_rate_of(samples) == rate_of(samples)
