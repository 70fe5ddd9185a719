from pathlib import Path

import pytest

from loadtests.jmeter.jtl import JtlError, read_jtl
from loadtests.jmeter.tests.making import sample

HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,"
    "failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect\n"
)
GOOD = "1000,25,GET /health/live,200,OK,Operators 1-7,text,true,,10,20,3,4,http://h/,24,0,1\n"
TIMED_OUT = (
    "2000,15003,POST /enrollments,Non HTTP response code: java.net.SocketTimeoutException,"
    '"Read timed out",Students 1-1,text,false,"Test failed: code\nexpected ""200""",0,9,1,1,,0,0,1'
    "\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "results.jtl"
    path.write_text(text)
    return path


def test_a_line_is_read_with_its_group_and_threads(tmp_path: Path) -> None:
    [found] = read_jtl(write(tmp_path, HEADER + GOOD))

    assert found == sample(
        began_ms=1000, elapsed_ms=25, label="GET /health/live", group="Operators", threads=4
    )
    assert not found.is_unavailable


def test_a_time_out_is_a_sample_with_its_time_and_its_failure_over_two_lines(
    tmp_path: Path,
) -> None:
    _, found = read_jtl(write(tmp_path, HEADER + GOOD + TIMED_OUT))

    assert (found.elapsed_ms, found.is_good, found.is_unavailable) == (15003, False, True)
    assert 'expected "200"' in found.failure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "has no sample"),
        ("", "has no sample"),
        (GOOD, "has no sample"),  # its first line is taken for the header
        (GOOD + GOOD, "line 2 lacks one of timeStamp"),
        (HEADER + GOOD + "1000,25,GET /hea", "line 3 lacks one of"),
        (HEADER + GOOD.replace("1000", "soon"), "line 2 is bad"),
    ],
)
def test_what_is_no_jtl_is_refused_with_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(JtlError, match=said):
        read_jtl(write(tmp_path, text))


def test_a_file_that_is_not_there_is_refused_with_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(JtlError, match=r"see jmeter\.log"):
        read_jtl(tmp_path / "none.jtl")


@pytest.mark.parametrize(
    ("code", "is_good", "is_unavailable"),
    [
        ("200", True, False),
        ("404", False, False),
        ("429", True, True),
        ("500", False, True),
        ("503", True, True),
        ("Non HTTP response code: java.net.ConnectException", False, True),
        ("", False, True),
        ("confirmed", True, False),
        ("rejected:section_full", True, False),
        ("timed_out", False, True),
        ("unacknowledged", False, True),
        ("no_kafka", False, True),
    ],
)
def test_what_got_no_answer_in_time_was_not_available(
    code: str, is_good: bool, is_unavailable: bool
) -> None:
    assert sample(code=code, is_good=is_good).is_unavailable == is_unavailable


def test_only_a_refusal_that_the_plan_takes_for_right_is_one() -> None:
    assert sample(code="503").is_refusal
    assert not sample(code="503", is_good=False).is_refusal
    assert not sample(code="200").is_refusal
