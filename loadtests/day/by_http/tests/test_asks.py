import json

from loadtests.day.by_http.asks import idempotency_key, prepare_asks
from loadtests.day.copies import copy_of
from loadtests.day.requests import Name
from loadtests.day.tests.making import dataset, request, section, student

DAY = dataset(
    request(1, "S1", "1.1", "1.2"),
    request(3, "S2", "1.1"),
    request(4, "S1", "1.3"),
    sections=(section("1.1"),),
    students=(student("S1"), student("S2")),
)


def sign(student_id: str) -> str:
    return f"token-of-{student_id}"


def test_a_key_follows_from_set_line_copy_and_run() -> None:
    names = [
        Name("set", 1, 1, "r"),
        Name("tes", 1, 1, "r"),
        Name("set", 2, 1, "r"),
        Name("set", 1, 2, "r"),
        Name("set", 1, 1, "s"),
    ]

    keys = [idempotency_key(name) for name in names]

    assert len(set(keys)) == len(keys)
    assert keys[0] == idempotency_key(Name("set", 1, 1, "r"))
    assert all(1 <= len(key) <= 255 and key.isprintable() and key.isascii() for key in keys)


def test_the_same_run_asks_the_same_again() -> None:
    assert prepare_asks([DAY], "r", sign) == prepare_asks([DAY], "r", sign)


def header(ask: bytes, name: str) -> str:
    lines = ask.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    [found] = [line for line in lines if line.startswith(f"{name}: ")]
    return found.removeprefix(f"{name}: ")


def keys(asks: list[bytes]) -> set[str]:
    return {header(ask, "Idempotency-Key") for ask in asks}


def test_another_run_asks_under_other_keys() -> None:
    assert not keys(prepare_asks([DAY], "r", sign)) & keys(prepare_asks([DAY], "s", sign))


def test_each_request_bears_its_own_students_token_and_names_nobody_else() -> None:
    first, second, third = prepare_asks([DAY], "r", sign)

    tokens = [header(ask, "Authorization") for ask in (first, second, third)]
    assert tokens == ["Bearer token-of-S1", "Bearer token-of-S2", "Bearer token-of-S1"]
    body = first.partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"term": "fall", "sections": ["1.1", "1.2"]}
    assert header(first, "Content-Length") == str(len(body))


def test_a_students_token_is_signed_once() -> None:
    signed: list[str] = []

    def sign_once(student_id: str) -> str:
        signed.append(student_id)
        return sign(student_id)

    prepare_asks([DAY], "r", sign_once)

    assert sorted(signed) == ["S1", "S2"]


def test_copies_take_turns_as_they_do_by_kafka() -> None:
    asks = prepare_asks([DAY, copy_of(DAY, 2)], "r", sign)

    tokens = [header(ask, "Authorization").removeprefix("Bearer token-of-") for ask in asks]
    assert tokens == ["S1", "2-S1", "S2", "2-S2", "S1", "2-S1"]
    assert len(keys(asks)) == 6
