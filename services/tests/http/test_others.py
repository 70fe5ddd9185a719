"""What is another's stays so: not read, not changed, not watched, not even known to be there."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from deploy.local import keys
from schemas.publishing import HERE
from services.enrollment.ingress.acceptance import enrollment_id_of
from services.enrollment.ingress.tests.signing import STAFF_SCOPE, claims, private_pem, rsa_key
from services.tests.http.client import Answer, HttpClient, http_client
from services.tests.http.scenario import Scenario, new_key
from services.tests.saga.client import Saga

DOCUMENT: dict[str, Any] = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
OF_STAFF = [
    (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if path.startswith("/queue/") or path == "/enrollments:batch"
]
WITH_TOKEN = [
    (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method, one in methods.items()
    if one.get("security")
]
FILLED = {"name": "redis", "key": "k", "slug": "not-found", "section_id": "A"}
LOOKS = 40
TELLING_SECONDS = 0.02  # the machine is busy with other things, too


@dataclass(frozen=True)
class Neighbours:
    """A student with an enrollment, and another who would like to know of it."""

    http: HttpClient
    private_key: bytes
    public_key: bytes
    owner: str
    other: str
    term: str
    own: str  # the owner's enrollment
    own_key: str  # the Idempotency-Key that it was asked for with

    def fill(self, path: str) -> str:
        """Put ids of something that there is into a path of the document."""
        ids = dict.fromkeys(("enrollment_id", "saga_id", "task_id"), self.own)
        filled = path.format(**FILLED, **ids, term=self.term)
        query = {"/sections": f"?term={self.term}", "/queue/idempotency": "?all=true"}
        return filled + query.get(path, "")

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        """Ask as the other one."""
        return await self.http.ask(method, path, token=self.http.student(self.other), **more)

    def sign(self, key: bytes | None = None, algorithm: str = "RS256", **changed: Any) -> str:
        """Sign what claims to be the owner's token."""
        return jwt.encode(
            claims(sub=self.owner, **changed), key or self.private_key, algorithm=algorithm
        )


@pytest.fixture(scope="module")
async def neighbours(saga: Saga) -> AsyncIterator[Neighbours]:
    async with http_client(saga.state_dir) as http:
        story = Scenario(saga, http)
        await story.set_up({"A": 5, "B": 5})
        key = new_key()
        answer = await story.ask("A", key=key)
        outcome = await http.outcome(story.student, answer.headers["Location"])
        assert outcome["status"] == "confirmed"
        yield Neighbours(
            http,
            keys.private_key_file(saga.state_dir).read_bytes(),
            keys.public_key_file(saga.state_dir).read_bytes(),
            story.student,
            story.others[0],
            story.term,
            outcome["enrollment_id"],
            key,
        )


# Tokens


async def test_the_token_that_the_bad_ones_are_made_from_is_good(neighbours: Neighbours) -> None:
    answer = await neighbours.http.ask(
        "GET", f"/enrollments/{neighbours.own}", token=neighbours.sign()
    )

    assert answer.status == 200


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("algorithm none", "the token is signed with an algorithm that is not taken"),
        ("HS256 with the public key", "the token is signed with an algorithm that is not taken"),
        ("RS512", "the token is signed with an algorithm that is not taken"),
        ("another's key", "the token's signature is wrong"),
        ("another audience", "the token is meant for another audience"),
        ("another issuer", "the token comes from another issuer"),
        ("expired", "the token has expired"),
        ("not yet valid", "the token is not valid yet"),
        ("no expiry", "the token lacks one of exp, iss, aud, sub"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_bad_token_is_unauthorized_and_the_challenge_says_why(
    neighbours: Neighbours, method: str, what: str, said: str
) -> None:
    token = bad_tokens(neighbours)[what]

    answer = await neighbours.http.ask(method, f"/enrollments/{neighbours.own}", token=token)

    assert (answer.status, answer.problem) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="enrollment", error="invalid_token", error_description="{said}"'
    )
    assert neighbours.owner not in answer.text


def bad_tokens(neighbours: Neighbours) -> dict[str, str]:
    sign = neighbours.sign
    return {
        "algorithm none": jwt.encode(claims(sub=neighbours.owner), "", algorithm="none"),
        "HS256 with the public key": signed_by_hand(neighbours),
        "RS512": sign(algorithm="RS512"),
        "another's key": sign(private_pem(rsa_key())),
        "another audience": sign(aud="another"),
        "another issuer": sign(iss="another"),
        "expired": sign(exp=int(time.time()) - 60),
        "not yet valid": sign(nbf=int(time.time()) + 60),
        "no expiry": sign(exp=None),
    }


def signed_by_hand(neighbours: Neighbours) -> str:
    """Sign with the public key as a secret, which PyJWT would not do."""
    made = jwt.api_jws.PyJWS()
    made.unregister_algorithm("HS256")
    made.register_algorithm("HS256", _AnySecret(jwt.algorithms.HMACAlgorithm.SHA256))
    payload = json.dumps(claims(sub=neighbours.owner)).encode()
    return made.encode(payload, neighbours.public_key, algorithm="HS256")


class _AnySecret(jwt.algorithms.HMACAlgorithm):
    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else key.encode()


@pytest.mark.parametrize(("method", "path"), WITH_TOKEN, ids=lambda part: part)
async def test_no_token_is_unauthorized_and_the_challenge_names_no_error(
    neighbours: Neighbours, method: str, path: str
) -> None:
    answer = await neighbours.http.ask(method, neighbours.fill(path))

    assert (answer.status, answer.problem) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="enrollment"'


# Enrollments of others


def seen(answer: Answer) -> dict[str, Any]:
    """Give all that a client can tell answers apart by, but for what differs by itself."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = answer.json
    assert body.pop("correlation_id") == headers.pop("x-correlation-id")
    del headers["date"]
    return {"status": answer.status, "headers": list(headers.items()), "body": body}


WAYS = [("GET", ""), ("DELETE", ""), ("GET", "/events")]


@pytest.mark.parametrize(("method", "path"), WAYS, ids=["read", "cancel", "watch"])
async def test_another_students_enrollment_is_answered_as_one_that_nobody_has(
    neighbours: Neighbours, method: str, path: str
) -> None:
    others = await neighbours.ask(method, f"/enrollments/{neighbours.own}{path}")
    nobodys = await neighbours.ask(method, f"/enrollments/{uuid4()}{path}")

    assert (others.status, others.problem) == (404, "not-found")
    assert seen(others) == seen(nobodys)


@pytest.mark.parametrize(("method", "path"), WAYS, ids=["read", "cancel", "watch"])
async def test_it_takes_as_long_to_find_neither(
    neighbours: Neighbours, method: str, path: str
) -> None:
    others, nobodys = [], []

    for _ in range(LOOKS):
        others.append(await neighbours.ask(method, f"/enrollments/{neighbours.own}{path}"))
        nobodys.append(await neighbours.ask(method, f"/enrollments/{uuid4()}{path}"))

    medians = [median(one.seconds for one in answers) for answers in (others, nobodys)]
    assert abs(medians[0] - medians[1]) < max(TELLING_SECONDS, 0.5 * min(medians))


@pytest.mark.parametrize("header", ["If-None-Match", "Last-Event-ID", "Prefer", "Idempotency-Key"])
async def test_no_header_tells_them_apart_either(neighbours: Neighbours, header: str) -> None:
    value = {"If-None-Match": "*", "Last-Event-ID": "0", "Prefer": "wait=1"}.get(header, new_key())
    for method, path in WAYS:
        others = await neighbours.ask(
            method, f"/enrollments/{neighbours.own}{path}", headers={header: value}
        )
        nobodys = await neighbours.ask(
            method, f"/enrollments/{uuid4()}{path}", headers={header: value}
        )

        assert others.status == 404
        assert seen(others) == seen(nobodys)


async def test_who_tries_ids_finds_nothing_and_no_id_is_nearer_than_another(
    neighbours: Neighbours,
) -> None:
    own = UUID(neighbours.own)
    near = [UUID(int=own.int + step) for step in (-2, -1, 1, 2)]
    known_by_heart = enrollment_id_of(neighbours.owner, "create", f"key:{neighbours.own_key}", 0)
    spellings = [own.hex, own.urn, f"{{{own}}}", str(own).upper()]

    ids = [*map(str, near), str(known_by_heart), *spellings]
    answers = [await neighbours.ask("GET", f"/enrollments/{one}") for one in ids]

    assert known_by_heart == own
    assert own.version == 5
    assert len({json.dumps(seen(one)) for one in answers}) == 1
    assert answers[0].status == 404


async def test_the_enrollment_is_what_it_was_after_all_of_this(neighbours: Neighbours) -> None:
    await neighbours.ask("DELETE", f"/enrollments/{neighbours.own}")
    found = await neighbours.http.ask(
        "GET", f"/enrollments/{neighbours.own}", token=neighbours.http.student(neighbours.owner)
    )

    assert found.json["status"] == "confirmed"


async def test_another_students_list_is_answered_as_that_of_nobody(neighbours: Neighbours) -> None:
    others = await neighbours.ask("GET", f"/enrollments?student={neighbours.owner}")
    nobodys = await neighbours.ask("GET", f"/enrollments?student=nobody-{uuid4()}")
    own = await neighbours.ask("GET", "/enrollments")

    assert others.status == 404
    assert seen(others) == seen(nobodys)
    assert own.json["enrollments"] == []


async def test_a_student_asks_for_nobody_else(neighbours: Neighbours) -> None:
    for other in (neighbours.owner, f"nobody-{uuid4()}"):
        body = {"term": neighbours.term, "sections": ["B"], "student_id": other}
        answer = await neighbours.ask("POST", "/enrollments", body=body)

        assert (answer.status, answer.problem) == (403, "forbidden")

    listed = await neighbours.http.ask(
        "GET", "/enrollments", token=neighbours.http.student(neighbours.owner)
    )
    assert [one["enrollment_id"] for one in listed.json["enrollments"]] == [neighbours.own]


async def test_another_students_key_gives_nothing_away_and_is_not_used_up(
    neighbours: Neighbours,
) -> None:
    answer = await neighbours.http.enroll(
        neighbours.other, neighbours.term, "B", key=neighbours.own_key
    )
    outcome = await neighbours.http.outcome(neighbours.other, answer.headers["Location"])

    assert answer.status == 202
    assert "Idempotency-Replayed" not in answer.headers
    assert neighbours.own not in answer.text
    assert outcome["sections"] == ["B"]


# Staff


@pytest.mark.parametrize(("method", "path"), OF_STAFF, ids=lambda part: part)
async def test_what_is_for_staff_is_for_nobody_else(
    neighbours: Neighbours, method: str, path: str
) -> None:
    filled = neighbours.fill(path)

    student = await neighbours.ask(method, filled)
    nearly = await neighbours.http.ask(
        method, filled, token=neighbours.sign(scope=f"{STAFF_SCOPE}s enrollment:student")
    )

    for answer in (student, nearly):
        assert (answer.status, answer.problem) == (403, "forbidden")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="enrollment", error="insufficient_scope"'
        )


def test_these_are_all_that_there_is_for_staff_and_for_whoever_has_a_token() -> None:
    assert len(OF_STAFF) == 10
    assert len(WITH_TOKEN) == 17
