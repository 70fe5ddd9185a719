"""The generator against a real server."""

import asyncio
import json

import pytest

from loadtests.chaos.workload import ample_campus
from loadtests.overload import generator as generator_module
from loadtests.overload.generator import Generator
from loadtests.overload.ledger import Ledger
from loadtests.overload.requests import Requests
from loadtests.plain_http.tests.server import Respond, Served, answer, serving

CAMPUS = ample_campus(students=10, sections=4)
REQUESTS = Requests(CAMPUS, [f"token-of-{student}" for student in CAMPUS.students])
ACCEPTED = answer(202, b'{"enrollment_id":"e1"}')
OVERLOADED = b'{"type": "/problems/overloaded"}'


async def offer(
    respond: Respond, rate: float, seconds: float, delay_seconds: float = 0.0
) -> tuple[Ledger, list[str], Served]:
    ledger, accepted = Ledger(), list[str]()
    async with serving(respond) as served:
        served.delay_seconds = delay_seconds
        generator = Generator(
            [served.address], REQUESTS, ledger, lambda _, name: accepted.append(name)
        )
        numbers = await generator.offer(rate, seconds)
        await generator.close()
    assert numbers == range(int(rate * seconds))
    return ledger, accepted, served


async def test_everything_is_sent_once_at_its_time_and_accepted() -> None:
    ledger, accepted, served = await offer(lambda _: ACCEPTED, 100, 0.4)

    gaps = [b - a for a, b in zip(ledger.due_at, ledger.due_at[1:], strict=False)]
    assert gaps == pytest.approx([0.01] * 39)
    assert accepted == ["e1"] * 40
    assert len(set(served.requests)) == 40
    assert dict(ledger.counts(range(40))) == {202: 40}
    assert len(ledger.answer_seconds(range(40))) == 40


async def test_slow_answers_do_not_slow_the_generator_down() -> None:
    ledger, _, served = await offer(lambda _: ACCEPTED, 100, 0.4, delay_seconds=0.3)

    assert served.connections > 20
    assert dict(ledger.counts(range(40))) == {202: 40}
    assert min(ledger.answer_seconds(range(40))) >= 0.3


async def test_quick_answers_need_few_connections() -> None:
    _, _, served = await offer(lambda _: ACCEPTED, 50, 0.4)

    assert served.connections < 10


async def test_refusals_are_counted_by_problem_and_never_repeated() -> None:
    answers = iter([answer(503, OVERLOADED, "Retry-After: 1")] * 19 + [answer(429, OVERLOADED)])
    ledger, accepted, served = await offer(lambda _: next(answers), 100, 0.2)

    assert len(served.requests) == 20
    assert accepted == []
    assert dict(ledger.counts(range(20))) == {503: 19, 429: 1}
    assert ledger.problems == {"overloaded": 20}
    assert ledger.without_retry_after == 1


async def test_a_lost_connection_loses_its_request_alone() -> None:
    answers = iter([ACCEPTED] * 5 + [None] + [ACCEPTED] * 14)
    ledger, _, served = await offer(lambda _: next(answers), 100, 0.2)

    assert len(served.requests) == 20
    assert dict(ledger.counts(range(20))) == {202: 19, 0: 1}


async def test_nobody_who_listens_and_no_answer_lose_what_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generator_module, "ANSWER_SECONDS", 0.1)
    ledger = Ledger()
    generator = Generator([("127.0.0.1", 1)], REQUESTS, ledger, lambda *_: None)

    await generator.offer(100, 0.1)
    late, _, _ = await offer(lambda _: ACCEPTED, 100, 0.1, delay_seconds=0.5)

    assert dict(ledger.counts(range(10))) == {0: 10}
    assert dict(late.counts(range(10))) == {0: 10}


async def test_an_answer_in_pieces_is_read_whole() -> None:
    body = b'{"enrollment_id":"e1"}'
    head = answer(202, body)[: -len(body)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        for piece in (head[:9], head[9:], body[:5], body[5:]):
            writer.write(piece)
            await asyncio.sleep(0.02)
        writer.close()

    ledger, accepted = Ledger(), list[str]()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()
        generator = Generator([address], REQUESTS, ledger, lambda _, name: accepted.append(name))
        await generator.offer(10, 0.1)
        await generator.close()

    assert accepted == ["e1"]


def test_no_student_asks_for_a_section_twice_before_all_were_asked_for() -> None:
    sent = [REQUESTS(number) for number in range(40)]
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in sent]
    tokens = [head.partition("Bearer ")[2].split("\r\n")[0] for head in heads]
    sections = [json.loads(request.partition(b"\r\n\r\n")[2])["sections"][0] for request in sent]
    keys = {head.partition("Idempotency-Key: ")[2].split("\r\n")[0] for head in heads}

    assert len(sent) == 40 == len(set(zip(tokens, sections, strict=True))) == len(keys)
    assert len(set(tokens[:10])) == 10


def test_once_all_pairs_were_asked_for_they_come_again_under_new_keys() -> None:
    first, again = REQUESTS(3), REQUESTS(43)

    assert first != again
    assert first.partition(b"Idempotency-Key: ")[0] == again.partition(b"Idempotency-Key: ")[0]
    assert first.partition(b"\r\n\r\n")[2] == again.partition(b"\r\n\r\n")[2]
