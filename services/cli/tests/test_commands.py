import asyncio
import json
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.cli.target import Target, transaction
from services.cli.tests.saga import (
    TRACE,
    a_request,
    park,
    park_raw,
    play,
    publish_catalogs,
)
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


def test_a_dead_letter_is_shown_decoded_with_its_trace_and_how_its_enrollment_stands(
    target: Target,
) -> None:
    request = confirmed(target)
    event = StudentValidated(**request.model_dump(exclude={"deadline_seconds"}), credits=3)
    [letter_id] = asyncio.run(park(target, "capacity", event))

    code, said = run_json("dead-letters", "show", str(letter_id), "--service", "capacity")
    shown = run("dead-letters", "show", str(letter_id), "--service", "capacity")

    assert code == 0
    assert said["event"]["sections"] == ["a"]
    assert (said["unreadable"], said["state"]) == (None, "confirmed")
    assert said["trace_id"] == TRACE.split("-")[1]
    assert '"credits": 3' in shown.stdout


def test_what_cannot_be_read_is_shown_as_it_came_with_the_reason(target: Target) -> None:
    asyncio.run(park_raw(target, "capacity", b"{ no json"))

    code, said = run_json("dead-letters", "list", "--service", "capacity")
    letter_id = str(said["items"][0]["id"])
    shown_code, shown = run_json("dead-letters", "show", letter_id, "--service", "capacity")

    assert (code, shown_code) == (0, 0)
    assert (shown["event"], shown["body"], shown["state"]) == (None, "{ no json", None)
    assert shown["unreadable"].startswith("not_json: ")
    assert "no json" not in json.dumps(said)


def test_dead_letters_are_listed_by_what_they_are(target: Target) -> None:
    event = validated()
    asyncio.run(park(target, "capacity", event))

    found = [
        len(run_json("dead-letters", "list", *options)[1]["items"])
        for options in [
            ("--enrollment", str(event.enrollment_id)),
            ("--enrollment", str(uuid4())),
            ("--reason", "decision_raised", "--event-type", "StudentValidated"),
            ("--reason", "held"),
        ]
    ]

    assert found == [1, 0, 1, 0]


def test_a_replay_says_what_came_of_it(target: Target) -> None:
    event = validated()
    [letter_id] = asyncio.run(park(target, "capacity", event))

    code, said = run_json("dead-letters", "replay", str(letter_id), "--service", "capacity")

    assert code == 0
    assert said == {
        "dry_run": False,
        "items": [
            {
                "service": "capacity",
                "id": letter_id,
                "replayed": [letter_id],
                "says": ["SeatUnavailable"],
                "error": None,
                "enrollment_id": str(event.enrollment_id),
                "state": None,
                "has_ended": False,
            }
        ],
    }


def test_a_dry_run_says_what_would_come_of_all_that_are_meant_and_changes_nothing(
    target: Target,
) -> None:
    asyncio.run(park(target, "capacity", validated(), validated()))
    replay = ("dead-letters", "replay", "--reason", "decision_raised")

    tried = run(*replay, "--dry-run")
    again = run_json(*replay, "--dry-run")[1]
    code, said = run_json(*replay)
    left = run_json("dead-letters", "list")[1]

    assert (tried.exit_code, code, left["items"]) == (0, 0, [])
    assert tried.stdout.count("would say SeatUnavailable") == 2
    assert again["items"] == said["items"]


def test_a_replay_for_a_saga_that_has_ended_says_so(target: Target) -> None:
    request = confirmed(target)
    event = StudentValidated(**request.model_dump(exclude={"deadline_seconds"}), credits=3)
    asyncio.run(park(target, "capacity", event))

    result = run("dead-letters", "replay", "--enrollment", str(request.enrollment_id))

    assert result.exit_code == 0
    assert "which now says nothing; its saga had ended before: confirmed since" in result.stdout


def test_one_that_fails_again_stays_and_the_others_go_on(target: Target) -> None:
    asyncio.run(park(target, "capacity", validated()))
    asyncio.run(park_raw(target, "capacity", b"{ no json", offset=7, reason="decision_raised"))

    code, said = run_json("dead-letters", "replay", "--reason", "decision_raised")
    left = run_json("dead-letters", "list")[1]

    assert code == 1
    assert [bool(item["error"]) for item in said["items"]] == [False, True]
    assert "cannot be read" in said["items"][1]["error"]
    assert [item["offset"] for item in left["items"]] == [7]


async def alter(target: Target, command: str) -> None:
    async with transaction(target, "capacity") as begun:
        await begun.execute(command)


def test_one_that_the_database_refuses_again_stays_and_the_others_go_on(target: Target) -> None:
    refused, other = validated(), validated()
    asyncio.run(park(target, "capacity", refused, other))
    refuse = f"ALTER TABLE reservation ADD CHECK (enrollment_id <> '{refused.enrollment_id}'::uuid)"

    asyncio.run(alter(target, refuse))
    tried = run_json("dead-letters", "replay", "--reason", "decision_raised", "--dry-run")
    code, said = run_json("dead-letters", "replay", "--reason", "decision_raised")
    left = run_json("dead-letters", "list")[1]

    assert (tried[0], code) == (1, 1)
    assert [bool(item["error"]) for item in said["items"]] == [True, False]
    assert "the database refuses it" in said["items"][0]["error"]
    assert [item["enrollment_id"] for item in left["items"]] == [str(refused.enrollment_id)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "which dead letters?"),
        (["7"], "of which service?"),
        (["7", "--service", "student", "--reason", "held"], "not both"),
    ],
)
def test_what_is_to_be_replayed_must_be_said_clearly(
    target: Target, arguments: list[str], sentence: str
) -> None:
    code, said = run_json("dead-letters", "replay", *arguments)

    assert code == 2
    assert sentence in said["error"]


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
