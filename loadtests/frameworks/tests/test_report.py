"""The table: medians of rounds, ratios within rounds, and what is left out."""

from loadtests.frameworks.measuring import Round
from loadtests.frameworks.pairs import PAIRS, REFERENCE, Pair, installed
from loadtests.frameworks.report import load_sentence, table

OTHER = Pair("other", "server", "Other", ("no_such_package_1", "no_such_package_2"))


def round_of(cpu_us: float, per_second: float = 1000.0, load_average: float = 1.0) -> Round:
    return Round(per_second, 10.0, 20.0, cpu_us, load_average, others_percent=10 * load_average)


def test_a_row_has_the_medians_of_its_rounds_and_the_median_of_its_ratios_within_each() -> None:
    reference = [round_of(500, 900), round_of(1000, 1100), round_of(400, 1300)]
    other = [round_of(600, 2000), round_of(1100, 3000), round_of(440, 2500)]

    rows = table({REFERENCE: reference, OTHER: other})[2:]

    assert rows == [
        f"| **{REFERENCE.label}** | 1,100 | 10.0 ms | 20.0 ms | 500 µs | 400 to 1000 µs | 1.00 |",
        "| Other | 2,500 | 10.0 ms | 20.0 ms | 600 µs | 440 to 1100 µs | 1.10 |",
    ]


def test_how_busy_the_machine_was_is_told_with_its_range() -> None:
    rounds = [round_of(1, load_average=load) for load in (0.52, 4.0, 1.0)]

    assert load_sentence({OTHER: rounds}) == (
        "Load average before each: 0.5 to 4.0, median 1.0. "
        "Others took meanwhile, in percent of the machine: 5.2 to 40.0, median 10.0."
    )


def test_what_is_not_installed_is_left_out_with_a_sentence() -> None:
    can, left_out = installed([REFERENCE, OTHER])

    assert can == [REFERENCE]
    [sentence] = left_out
    assert sentence.startswith("Other: left out, for no_such_package_1 and no_such_package_2")


def test_every_pair_is_known_by_another_name_than_the_others() -> None:
    assert len({pair.label for pair in PAIRS}) == len(PAIRS)
