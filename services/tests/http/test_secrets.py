"""What is personal or secret is in no span, metric, log or list of dead letters."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.request import urlopen
from uuid import uuid4

import jwt
import pytest

from deploy.local import keys, stack, state
from deploy.local.tokens import issuer_with
from services.tests.http.client import HttpClient
from services.tests.http.collector import Collector
from services.tests.http.conftest import PASSWORD
from services.tests.saga.client import Mail, Saga, message, request_body
from services.tests.saga.days import cut_of_the_day, import_day, mails_of, requests_of
from services.tests.saga.waiting import eventually
from shared.identifiers import EnrollmentId
from shared.trace_context import begin

CANARY = "canary-6f1d"
REQUESTS = 200
CLAIMS = {"name": f"{CANARY} name", "email": f"{CANARY}@example.edu", "birthdate": CANARY}
EXTRA = {"note": f"{CANARY} note", "contact": {"phone": f"{CANARY} phone"}}
TALKATIVE: Mapping[str, str] = {
    "Cookie": f"session={CANARY}",
    "User-Agent": CANARY,
    "Debug-Trace": "1",
    "traceparent": CANARY,
}


def token_with_more(saga: Saga, token: str) -> str:
    """Sign the same claims with those that identity providers like to add."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = issuer_with(keys.private_key_file(saga.state_dir)).private_key
    return jwt.encode(claims | CLAIMS, key, algorithm=jwt.get_unverified_header(token)["alg"])


def with_extra_fields(mail: Mail) -> Mail:
    """Say more than is asked for, in a trace that is recorded."""
    assert mail.body is not None
    body = json.dumps(json.loads(mail.body) | EXTRA).encode()
    return Mail(
        mail.key, body, [*mail.headers, ("traceparent", begin(EnrollmentId(uuid4()), 1.0).encode())]
    )


def odd_mails(student: str, term: str) -> list[Mail]:
    """Write what nobody can take in, and what is taken in and refused."""
    good = message(request_body(uuid4(), student, term, ["A"]))
    whose = f"{CANARY} whose"
    return [
        Mail(good.key, f"{{ {CANARY} no json".encode(), good.headers),
        Mail(good.key, json.dumps({"enrollment_id": CANARY, **EXTRA}).encode(), good.headers),
        Mail(CANARY.encode(), b"", good.headers),
        Mail(good.key, good.body, [*good.headers, ("ce_note", CANARY.encode())]),
        Mail(good.key, good.body, [("ce_specversion", b"1.0"), ("ce_type", CANARY.encode())]),
        message(request_body(uuid4(), student, term, [f"{CANARY} ?"], deadline_seconds=CANARY)),
        message(request_body(uuid4(), whose, term, ["A"])),
    ]


async def ask_oddly(http: HttpClient, token: str, student: str, term: str) -> list[int]:
    """Send requests by HTTP that are come to nothing in each layer; give the statuses."""
    body = {"student_id": student, "term": term, "sections": ["A"]}
    answers = [
        await http.ask("POST", "/enrollments", token=token, body=body | EXTRA, headers=TALKATIVE),
        await http.ask("POST", "/enrollments", token=token, body=[CANARY], headers=TALKATIVE),
        await http.ask("POST", "/enrollments", token=token, body=body | {"term": f"{CANARY} ?"}),
        await http.ask("POST", "/enrollments", token=CANARY, body=body),
        await http.ask("GET", f"/enrollments/{CANARY}?student={CANARY}", token=token),
        await http.ask("GET", f"/enrollments?student={CANARY}&cursor={CANARY}", token=token),
        await http.ask("GET", f"/{CANARY}", headers={"Authorization": f"Basic {CANARY}"}),
        await http.ask("DELETE", f"/queue/idempotency/{CANARY}", token=token, headers=TALKATIVE),
        await http.ask(
            "POST",
            "/enrollments",
            token=token,
            body=body,
            headers={"Idempotency-Key": f"{CANARY} {CANARY * 40}", **TALKATIVE},
        ),
    ]
    return [one.status for one in answers]


async def play_a_day(saga: Saga, http: HttpClient, student: str, term: str) -> None:
    """Ask, refuse, cancel and fail, with a canary wherever one can be put."""
    day = cut_of_the_day(REQUESTS)
    await import_day(saga, day)
    token = token_with_more(saga, http.staff())
    saga.send(*map(with_extra_fields, mails_of(requests_of(day))), *odd_mails(student, term))
    statuses = await ask_oddly(http, token, student, term)
    assert max(statuses) < 500, statuses
    body = {"student_id": student, "term": term, "sections": ["A"]}
    for_cancel = {"Idempotency-Key": CANARY, **TALKATIVE}
    taken = await http.ask("POST", "/enrollments", token=token, body=body, headers=for_cancel)
    assert taken.status == 202, taken
    ids = {"enrollment_id": taken.json["enrollment_id"], "student_id": student}
    saga.send(message({**ids, "reason": f"{CANARY} ill"}, "EnrollmentCancellationRequested"))
    found = await saga.enrollment_in(["cancelled"], taken.json["enrollment_id"])
    assert CANARY in found["cancel_reason"]
    await saga.rest()


async def lists_of_dead_letters(saga: Saga) -> str:
    found = await saga.command("dead-letters", "list", "--service", "enrollment")
    assert found.code == 0
    return json.dumps(found.data)


def logs_of(saga: Saga) -> str:
    files = sorted(state.log_directory(saga.state_dir).glob("*.log"))
    assert {"enrollment.log", "student.log", "capacity.log", "ingress.log"} <= {
        file.name for file in files
    }
    return "".join(file.read_text(errors="replace") for file in files)


def metrics_of(saga: Saga) -> str:
    urls = [one.admin_url for one in stack.status(saga.state_dir).services.values()]
    return "".join(urlopen(f"{url}/metrics").read().decode() for url in urls)


@pytest.mark.timeout(240)
async def test_canaries_are_nowhere_that_operators_systems_keep(
    saga: Saga, http: HttpClient, collector: Collector
) -> None:
    began = datetime.now(UTC).timestamp() * 1e9
    term, (student,) = await saga.set_up({"A": 5})

    await play_a_day(saga, http, student, term)

    async def spans_came() -> bool:
        names = Counter(one.name for one in collector.all() if one.began_ns > began)
        return bool(names["POST /enrollments"]) and names["process student.events"] >= REQUESTS / 2

    await eventually("the spans of the day", spans_came)
    shown = {
        "dead letters": await lists_of_dead_letters(saga),
        "logs": await asyncio.to_thread(logs_of, saga),
        "metrics": await asyncio.to_thread(metrics_of, saga),
        "spans": repr(collector.all()),
    }
    assert "not_json" in shown["dead letters"]
    assert "POST" in shown["logs"]
    assert "enrollment_outcomes_total" in shown["metrics"]
    for what, text in shown.items():
        for secret in (CANARY, PASSWORD):
            place = text.find(secret)
            assert place < 0, f"{what}: …{text[max(0, place - 200) : place + 60]}"
