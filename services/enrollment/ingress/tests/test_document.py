"""The OpenAPI document is whole, and its page needs no host but the ingress."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from schemas.publishing import HERE
from services.enrollment.ingress.documenting import BEARER
from services.enrollment.ingress.openapi import unconnected_app
from services.enrollment.ingress.problems import PROBLEM_MEDIA_TYPE, ProblemType

DOCUMENT: dict[str, Any] = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
OPEN = ("/health/live", "/health/ready", "/metrics", "/problems/{slug}")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(unconnected_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for described in methods.values():
            yield path, described


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from references(one)
    if isinstance(node, dict):
        yield from (found for key, found in node.items() if key == "$ref")
        for one in node.values():
            yield from references(one)


def is_there(reference: str) -> bool:
    node = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node.get(part, {})
    return bool(node)


async def test_what_is_served_is_what_is_checked_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")

    assert answer.json() == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1")


def test_all_that_it_refers_to_is_there() -> None:
    found = set(references(DOCUMENT))

    assert len(found) > 20
    assert [one for one in found if not is_there(one)] == []


def test_every_operation_but_those_of_health_and_problems_asks_for_a_token() -> None:
    secured = {path for path, one in operations() if one.get("security") == [{BEARER: []}]}

    assert secured == {path for path, _ in operations()} - set(OPEN)


def test_every_refusal_is_documented_as_a_problem_and_no_other_problem_is_told_of() -> None:
    responses = [response for _, one in operations() for response in one["responses"].items()]
    refusals = [response for status, response in responses if int(status) >= 400]
    schemas = [one["content"][PROBLEM_MEDIA_TYPE]["schema"] for one in refusals]
    told = {kind for schema in schemas for kind in schema["properties"]["type"]["enum"]}

    nowhere_to_be_told = {ProblemType.METHOD_NOT_ALLOWED.path, ProblemType.INTERNAL_ERROR.path}
    assert told == {kind.path for kind in ProblemType} - nowhere_to_be_told


def test_every_answer_has_a_correlation_id_and_every_503_says_when_to_come_again() -> None:
    responses = [response for _, one in operations() for response in one["responses"].items()]

    assert all("X-Correlation-ID" in one["headers"] for _, one in responses)
    assert all(
        one["headers"]["Retry-After"]["required"] for code, one in responses if code == "503"
    )


async def test_the_page_names_no_other_host_and_all_that_it_needs_is_served(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs")).text
    needed = re.findall(r'(?:src|href|url)(?:=|: )["\']([^"\']+)["\']', page)
    answers = [await client.get(path) for path in needed]

    assert "//" not in re.sub(r"<!--.*?-->", "", page)
    assert {path.rpartition("/")[2] for path in needed} == {
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "favicon.png",
        "openapi.json",
    }
    assert [one.status_code for one in answers] == [200] * 4
    assert all(len(one.content) > 100 for one in answers)


async def test_the_page_has_its_document_checked_by_no_other_host(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs")).text

    assert '"validatorUrl": null' in page


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/enrollments", "GET, POST"),
        ("OPTIONS", "/enrollments", "GET, POST"),
        ("TRACE", "/health/live", "GET"),
        ("HEAD", "/health/live", "GET"),
        ("PATCH", "/enrollments/1", "DELETE, GET"),
        ("PUT", "/static-offline-docs/swagger-ui.css", "GET, HEAD"),
        ("BREW", "/docs", "GET"),
    ],
)
async def test_a_method_that_a_path_does_not_know_is_answered_with_all_that_it_knows(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/enrollments/", "/sections/", "/health/live/"])
async def test_nobody_is_led_anywhere_by_a_header_of_the_request(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers={"Host": "evil.example"})

    assert answer.status_code == 404
    assert answer.json()["type"] == ProblemType.NOT_FOUND.path
    assert "location" not in answer.headers
