"""What the clients of the ingress saw."""

from dataclasses import replace

from loadtests.chaos.by_http.asks import Act
from loadtests.chaos.by_http.log import Answer
from loadtests.chaos.by_http.report import http_lines, http_report
from loadtests.chaos.by_http.tests.making import LOST, HttpDay, accepted, ask_of, refused


def test_availability_is_of_first_tries_and_after_repeats() -> None:
    day = HttpDay()
    day.try_(ask_of(0), accepted("e1"))
    day.try_(ask_of(0), refused(422))
    day.try_(ask_of(1), refused(503), accepted("e2"))
    day.try_(ask_of(2), LOST, refused(429), refused(503))

    report = http_report(day.log)

    assert report.available_at_first == {"all": 0.5, "enroll": 0.5, "cancel": 0.0, "look": 0.0}
    assert report.available_at_last == 0.75
    assert (report.asks, report.tries, report.enrollments) == (4, 7, 2)


def test_a_try_that_the_client_gave_up_tells_nothing_of_the_ingress() -> None:
    day = HttpDay()
    day.try_(replace(ask_of(), hangs_up_after=0.01), Answer(None, "hung up"), accepted("e1"))
    day.try_(ask_of(0, Act.LOOK), Answer(200, "200"))

    report = http_report(day.log)

    assert report.available_at_first == {"all": 1.0, "enroll": 0.0, "cancel": 0.0, "look": 1.0}
    assert report.available_at_last == 1.0
    assert "  available at the first try: all 100.0%, enroll" in "\n".join(http_lines(report))


def test_repeats_are_all_tries_of_a_request_but_one() -> None:
    day = HttpDay()
    day.try_(ask_of(0), refused(503), accepted("e1"))
    day.try_(ask_of(0), accepted("e1", is_replay=True))
    day.try_(ask_of(1), accepted("e2"))

    report = http_report(day.log)

    assert (report.repeats, report.replays) == (2, 1)
    assert report.answers == {"202": 3, "503": 1}
