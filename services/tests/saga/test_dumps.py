"""A real stack's topics in a file, judged without its databases."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from services.tests.saga.client import Finished, Saga

Line = dict[str, Any]


async def dump(saga: Saga, path: Path) -> list[Line]:
    dumped = await saga.command("dump", str(path))
    lines = read(path)
    assert (dumped.code, dumped.data["records"]) == (0, len(lines) - 2)
    return lines


def read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, lines: list[Line]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


async def audit(saga: Saga, path: Path) -> Finished:
    return await saga.command("audit", "--dump", str(path))


def find(lines: list[Line], enrollment: UUID, event_type: str) -> Line:
    return next(
        line
        for line in lines[1:-1]
        if ["ce_type", event_type] in line["headers"]
        and ["ce_subject", str(enrollment)] in line["headers"]
    )


def lose_the_outcome(lines: list[Line], enrollment: UUID) -> str:
    """Take it away as if it had never been written: what came after it moves up."""
    lost = find(lines, enrollment, "EnrollmentConfirmed")
    place = (lost["topic"], lost["partition"])
    lines.remove(lost)
    for line in lines[1:-1]:
        if (line["topic"], line["partition"]) == place and line["offset"] > lost["offset"]:
            line["offset"] -= 1
    for end in lines[0]["ends"]:
        end[2] -= (end[0], end[1]) == place
    lines[-1]["records"] -= 1
    return "EnrollmentOpened, but 0 outcomes; 1 is due"


def change_the_ledger(lines: list[Line], enrollment: UUID) -> str:
    reserved = find(lines, enrollment, "SeatReserved")
    body = json.loads(reserved["value"])
    body["seats"][0]["seat_sequence"] = 2
    reserved["value"] = json.dumps(body)
    return "seat_sequence 2 at its change 1"


def say_a_second_outcome(lines: list[Line], enrollment: UUID) -> str:
    confirmed = find(lines, enrollment, "EnrollmentConfirmed")
    (end,) = (
        one for one in lines[0]["ends"] if one[:2] == [confirmed["topic"], confirmed["partition"]]
    )
    headers = [
        [name, value if name != "ce_id" else str(UUID(int=1))]
        for name, value in confirmed["headers"]
    ]
    lines.insert(-1, confirmed | {"offset": end[2], "headers": headers})
    end[2] += 1
    lines[-1]["records"] += 1
    return "2 EnrollmentConfirmed of different ids, at most 1 is right"


async def test_a_dump_at_rest_is_sound_until_a_violation_is_planted(
    saga: Saga, tmp_path: Path
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment = saga.request(student, term, "A")
    await saga.outcome(enrollment)
    await saga.rest()
    path = tmp_path / "day.jsonl"
    lines = await dump(saga, path)

    sound = await audit(saga, path)

    assert lines[0]["is_at_rest"]
    assert (sound.code, sound.data["violations"], sound.data["still_open"]) == (0, [], {})
    for plant in (lose_the_outcome, change_the_ledger, say_a_second_outcome):
        planted = copy.deepcopy(lines)
        told = plant(planted, enrollment)
        write(path, planted)
        unsound = await audit(saga, path)
        assert unsound.code == 1
        assert told in "\n".join(one["text"] for one in unsound.data["violations"])


async def test_a_dump_in_motion_shows_no_violation(saga: Saga, tmp_path: Path) -> None:
    term, students = await saga.set_up({"A": 50, "B": 20}, students=400)
    path = tmp_path / "day.jsonl"
    dumping = asyncio.create_task(dump(saga, path))
    asked: list[UUID] = []
    while not dumping.done():
        student = students[len(asked) % len(students)]
        asked.append(saga.request(student, term, "A", "B"))
        if len(asked) % 3 == 0:
            saga.cancel(asked[-1], student)
        await asyncio.sleep(0.005)
    lines = await dumping

    report = await audit(saga, path)

    assert not lines[0]["is_at_rest"]
    assert (report.code, report.data["violations"]) == (0, [])
    await saga.states_of(asked)
    await saga.rest()
