import asyncio
import json
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.cli.target import Target
from services.cli.tests.saga import a_request, park, play, publish_catalogs
from shared.events import EnrollmentRequested, StudentValidated

SECTION_A = ("--student", "s-1", "--term", "2030", "--section", "a")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="enroll")


def run_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = run(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def confirmed(target: Target) -> EnrollmentRequested:
    """Bring one enrollment to its end, without the command line."""

    async def bring() -> EnrollmentRequested:
        await publish_catalogs(target)
        request = a_request()
        await play(target, request)
        return request

    return asyncio.run(bring())


def test_a_request_is_published_and_its_id_given(target: Target) -> None:
    code, said = run_json("request", *SECTION_A)

    assert code == 0
    assert UUID(said["enrollment_id"])


def test_a_waiting_request_ends_when_the_enrollment_is_decided(target: Target) -> None:
    asyncio.run(publish_catalogs(target))
    enrollment_id = uuid4()

    def decide_soon() -> None:
        time.sleep(1)
        asyncio.run(play(target, a_request(enrollment_id=enrollment_id)))

    services = threading.Thread(target=decide_soon)
    services.start()
    code, said = run_json("request", *SECTION_A, "--id", str(enrollment_id), "--wait")
    services.join()

    assert code == 0
    assert said == {
        "enrollment_id": str(enrollment_id),
        "state": "confirmed",
        "stage": None,
        "reasons": [],
    }


def test_a_rejected_request_is_exit_code_1_with_its_reasons(target: Target) -> None:
    enrollment_id = str(uuid4())
    asyncio.run(play(target, a_request(enrollment_id=enrollment_id)))  # there are no catalogs

    code, said = run_json("request", *SECTION_A, "--id", enrollment_id, "--wait")

    assert code == 1
    assert (said["state"], said["stage"]) == ("rejected", "eligibility")
    assert {reason["code"] for reason in said["reasons"]} == {"unknown_student", "unknown_section"}


def test_an_undecided_request_is_exit_code_1_when_the_time_is_over(target: Target) -> None:
    code, said = run_json("request", *SECTION_A, "--wait", "--wait-seconds", "0.3")

    assert code == 1
    assert said["state"] == "unknown"


def test_another_requests_id_is_not_taken_for_this_ones_outcome(target: Target) -> None:
    known = confirmed(target)

    result = run(
        *("request", "--student", "s-1", "--term", "2030", "--section", "b"),
        *("--id", str(known.enrollment_id), "--wait"),
    )

    assert result.exit_code == 1
    assert "is another request's" in result.stderr


def test_a_cancel_finds_the_student(target: Target) -> None:
    known = confirmed(target)

    code, said = run_json("cancel", str(known.enrollment_id))

    assert (code, said) == (0, {"enrollment_id": str(known.enrollment_id)})


def test_a_cancel_of_what_is_unknown_asks_for_the_student(target: Target) -> None:
    without = run("cancel", str(uuid4()))
    with_student = run("cancel", str(uuid4()), "--student", "s-1")

    assert without.exit_code == 2
    assert "say whose it is with --student" in without.stderr
    assert with_student.exit_code == 0


def test_a_cancel_by_another_student_is_not_even_sent(target: Target) -> None:
    known = confirmed(target)

    result = run("cancel", str(known.enrollment_id), "--student", "s-2")

    assert result.exit_code == 2
    assert "does not belong to student s-2" in result.stderr


def test_show_tells_an_enrollment_from_an_unknown_id(target: Target) -> None:
    known = confirmed(target)

    shown, unknown = run("show", str(known.enrollment_id)), run("show", str(uuid4()))

    assert shown.exit_code == 0
    assert f"{known.enrollment_id} confirmed" in shown.stdout
    assert unknown.exit_code == 1
    assert "unknown: it was never requested" in unknown.stdout


def test_sections_show_their_seats(target: Target) -> None:
    confirmed(target)

    code, said = run_json("sections", "--term", "2030")

    assert code == 0
    seats = [
        (one["section_id"], one["capacity"], one["reserved"], one["free"], one["state"])
        for one in said["items"]
    ]
    assert seats == [("a", 1, 1, 0, "open"), ("b", 1, 0, 1, "open")]


def test_a_term_without_sections_is_fine_and_says_so(target: Target) -> None:
    result = run("sections", "--term", "1999")

    assert result.exit_code == 0
    assert "There are no sections" in result.stdout


def validated() -> StudentValidated:
    return StudentValidated(**a_request().model_dump(exclude={"deadline_seconds"}), credits=3)


def test_dead_letters_are_listed_with_everything_a_program_needs(target: Target) -> None:
    event = validated()
    [letter_id] = asyncio.run(park(target, "capacity", event))

    code, said = run_json("dead-letters", "list")

    assert code == 0
    [item] = said["items"]
    assert item.pop("parked_at")
    assert item == {
        "service": "capacity",
        "id": letter_id,
        "topic": "student.events",
        "partition": 0,
        "offset": 0,
        "reason": "decision_raised",
        "detail": "a test",
        "event_type": "StudentValidated",
        "enrollment_id": str(event.enrollment_id),
        "holds": True,
    }


def test_a_dead_letter_is_shown_with_headers_and_body(target: Target) -> None:
    event = validated()
    [letter_id] = asyncio.run(park(target, "capacity", event))

    code, said = run_json("dead-letters", "show", str(letter_id), "--service", "capacity")

    assert code == 0
    assert said["headers"]["ce_type"] == "StudentValidated"
    assert json.loads(said["body"])["enrollment_id"] == str(event.enrollment_id)


def test_a_replay_says_what_came_of_it(target: Target) -> None:
    [letter_id] = asyncio.run(park(target, "capacity", validated()))

    code, said = run_json("dead-letters", "replay", str(letter_id), "--service", "capacity")

    assert code == 0
    assert said == {"service": "capacity", "replayed": [letter_id], "says": ["SeatUnavailable"]}


def test_a_discard_against_the_rules_is_exit_code_1(target: Target) -> None:
    [letter_id] = asyncio.run(park(target, "enrollment", a_request()))

    code, said = run_json(
        "dead-letters", "discard", str(letter_id), "--service", "enrollment", "--yes"
    )

    assert code == 1
    assert "only with the outcome `rejected`" in said["error"]


def test_a_discard_by_the_rules_names_the_outcome(target: Target) -> None:
    [letter_id] = asyncio.run(park(target, "enrollment", a_request()))

    code, said = run_json(
        *("dead-letters", "discard", str(letter_id), "--service", "enrollment"),
        *("--outcome", "rejected", "--yes"),
    )

    assert code == 0
    assert said == {
        "service": "enrollment",
        "discarded": [letter_id],
        "outcome": "rejected",
        "says": ["EnrollmentRejected"],
    }


@pytest.mark.parametrize("action", ["show", "replay"])
def test_a_dead_letter_that_is_not_there_is_exit_code_1(target: Target, action: str) -> None:
    code, said = run_json("dead-letters", action, "77", "--service", "student")

    assert code == 1
    assert said["error"] == "there is no dead letter 77: list them to see which are"
