"""The table: medians of the quiet rounds, and what is left out."""

import pytest

from loadtests.frameworks.measuring import Round
from loadtests.frameworks.pairs import PAIRS, REFERENCE, Pair, installed
from loadtests.frameworks.report import NeverQuietError, load_sentence, quiet, table

OTHER = Pair("other", "server", "Other", ("no_such_package_1", "no_such_package_2"))


def round_of(cpu_us: float, per_second: float = 1000.0, others_percent: float = 5.0) -> Round:
    return Round(per_second, 10.0, 20.0, cpu_us, others_percent / 10, others_percent)


def test_a_row_has_the_medians_of_the_quiet_rounds_and_compares_within_each_round() -> None:
    reference = [round_of(500, 900), round_of(1000, 1100), round_of(400, 1300)]
    other = [round_of(600, 2000), round_of(1100, 3000), round_of(440, 2500, others_percent=90)]
    rounds = {REFERENCE: reference, OTHER: other}

    rows = table(rounds, quiet(rounds, 50))[2:]

    assert rows == [
        f"| **{REFERENCE.label}** | 1.00 | 500 µs | 1,100 | 10.0 ms | 20.0 ms | 3 |",
        "| Other | 1.10 | 850 µs | 2,500 | 10.0 ms | 20.0 ms | 2 |",
    ]


def test_rounds_in_which_others_were_busy_do_not_count() -> None:
    calm = [round_of(500, others_percent=20), round_of(510, others_percent=1)]
    rounds = {REFERENCE: [calm[0], round_of(900, others_percent=21), calm[1]]}

    assert quiet(rounds, 20) == {REFERENCE: calm}
    with pytest.raises(NeverQuietError, match="all rounds but 1"):
        quiet(rounds, 10)


def test_how_busy_the_machine_was_is_told_with_its_range() -> None:
    rounds = [round_of(1, others_percent=percent) for percent in (5.2, 40.0, 10.0)]

    assert load_sentence({OTHER: rounds}) == (
        "Load average before each: 0.5 to 4.0, median 1.0. "
        "Others took meanwhile, in percent of the machine: 5.2 to 40.0, median 10.0."
    )


def test_what_is_not_installed_is_left_out_with_a_sentence() -> None:
    can, left_out = installed([REFERENCE, OTHER])

    assert can == [REFERENCE]
    [sentence] = left_out
    assert sentence.startswith("Other: left out, for no_such_package_1 and no_such_package_2")


def test_no_two_pairs_have_the_same_name() -> None:
    assert len({pair.name for pair in PAIRS}) == len({pair.label for pair in PAIRS}) == len(PAIRS)
