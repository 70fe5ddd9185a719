from pathlib import Path

import pytest

from loadtests.jmeter.jtl import JtlError
from loadtests.jmeter.options import read_options
from loadtests.jmeter.running import judged_file
from loadtests.jmeter.tests.test_jtl import GOOD, HEADER


def judge(file: Path, *arguments: str) -> list[str]:
    options = read_options(["health", "--judge", str(file), *arguments], {})
    assert options.judged == file
    [result] = judged_file(options, file)
    return [verdict.target for verdict in result.missed]


def test_a_file_from_elsewhere_is_judged_by_the_same_targets(tmp_path: Path) -> None:
    file = tmp_path / "all.jtl"
    file.write_text(HEADER + GOOD * 200)

    assert judge(file) == []
    assert judge(file, "--p95-seconds", "0.02") == ["p95 < 0.02 s"]


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(JtlError, match="cannot be read"):
        judge(tmp_path / "none.jtl")
