"""The issuer's keys are fetched, renewed, kept while it is away, and never too weak."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.enrollment.ingress.keys import (
    DOCUMENT_BYTES_MAX,
    JwksKeys,
    NoKeysError,
    check_jwks_url,
    parse_jwks,
    read_pem,
)
from services.enrollment.ingress.tests.signing import (
    ec_key,
    ed_key,
    pem_file,
    private_pem,
    public_pem,
    rsa_key,
)

SOON = 5.0


def jwk(key: rsa.RSAPrivateKey, kid: str | None = None, **more: Any) -> dict[str, Any]:
    entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**entry, **({} if kid is None else {"kid": kid}), **more}


class Issuer:
    """An issuer's server that counts, and that the test can break."""

    def __init__(self) -> None:
        self.document: Any = {"keys": []}
        self.status = 200
        self.fetched: list[float] = []
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        self.fetched.append(asyncio.get_running_loop().time())
        return web.Response(
            text=json.dumps(self.document), status=self.status, headers={"Location": self.url}
        )


@asynccontextmanager
async def serving(issuer: Issuer, port: int = 0) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/keys", issuer.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    bound = runner.addresses[0][1]
    issuer.url = f"http://127.0.0.1:{bound}/keys"
    try:
        yield bound
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(issuer: Issuer, **seconds: float) -> AsyncIterator[JwksKeys]:
    keys = JwksKeys(issuer.url, "RS256", **seconds)
    task = asyncio.ensure_future(keys.run())
    try:
        yield keys
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)


def knows(keys: JwksKeys, kid: str | None) -> bool:
    try:
        return bool(keys.find(kid))
    except NoKeysError:
        return False


# Files


def test_the_public_keys_of_a_file_are_read(tmp_path: Path) -> None:
    keys = read_pem(
        pem_file(tmp_path, b"old:\n", public_pem(rsa_key(0)), public_pem(rsa_key(1))), "RS256"
    )

    assert keys.find("any") == (rsa_key(0).public_key(), rsa_key(1).public_key())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_pem(tmp_path / "none.pem", "RS256")


@pytest.mark.parametrize("content", [b"", b"ssh-rsa AAAA", b"-----BEGIN PUBLIC KEY-----\nAAAA"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="0 PEM blocks"):
        read_pem(pem_file(tmp_path, content), "RS256")


def test_a_block_that_is_no_key_is_refused(tmp_path: Path) -> None:
    block = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"

    with pytest.raises(ValueError, match="no public key"):
        read_pem(pem_file(tmp_path, block), "RS256")


def test_a_private_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="private key") as refused:
        read_pem(pem_file(tmp_path, private_pem(rsa_key())), "RS256")

    assert "BEGIN" not in str(refused.value)


def test_a_key_of_another_kind_than_the_algorithm_is_refused(tmp_path: Path) -> None:
    path = pem_file(tmp_path, public_pem(ec_key()))

    with pytest.raises(ValueError, match="not one for RS256"):
        read_pem(path, "RS256")
    assert read_pem(path, "ES256").find(None)


def test_a_curve_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(ValueError, match="not one for ES256"):
        read_pem(pem_file(tmp_path, public_pem(other)), "ES256")


def test_an_ed25519_key_serves_eddsa(tmp_path: Path) -> None:
    assert read_pem(pem_file(tmp_path, public_pem(ed_key())), "EdDSA").find(None)


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)

    with pytest.raises(ValueError, match="1024 bits"):
        read_pem(pem_file(tmp_path, public_pem(short)), "RS256")


# Sets of keys


def test_only_keys_that_sign_with_the_pinned_algorithm_are_taken() -> None:
    document = {
        "keys": [
            jwk(rsa_key(0), "a"),
            jwk(rsa_key(1), "b", use="sig", alg="RS256"),
            jwk(rsa_key(1), "encrypts", use="enc"),
            jwk(rsa_key(1), "other", alg="RS512"),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
            {"kty": "RSA", "kid": "broken", "n": "?", "e": []},
            {**jwk(rsa_key(1)), "kid": 7},
            "no key",
        ]
    }

    assert parse_jwks(json.dumps(document).encode(), "RS256").keys() == {"a", "b"}


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[]", b"7", b"{}", b'{"keys": 7}', b'{"keys": []}', b"[" * 100_000, b"\xff"],
)
def test_a_document_without_a_key_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jwks(document, "RS256")


def test_too_many_keys_are_refused() -> None:
    document = json.dumps({"keys": [jwk(rsa_key(), str(n)) for n in range(33)]})

    with pytest.raises(ValueError, match="at most 32"):
        parse_jwks(document.encode(), "RS256")


@pytest.mark.parametrize("url", ["http://issuer.example/k", "file:///etc/passwd", "", "keys"])
def test_a_url_that_others_could_answer_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_jwks_url(url)


@pytest.mark.parametrize("url", ["https://issuer.example/k", "http://127.0.0.1:1/k"])
def test_a_url_that_others_cannot_answer_is_taken(url: str) -> None:
    assert check_jwks_url(url) == url


# The issuer's server


async def test_keys_are_fetched_and_found_by_their_name() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a"), jwk(rsa_key(1), "b")]}
    async with serving(issuer), running(issuer) as keys:
        with pytest.raises(NoKeysError):
            keys.find("a")
        await until(lambda: knows(keys, "a"))

        assert keys.find("b") == (rsa_key(1).public_key(),)
        assert not keys.find(None)  # which of the two it would be is not said
        assert keys.generation == 1


async def test_one_key_alone_needs_no_name() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with serving(issuer), running(issuer) as keys:
        await until(lambda: knows(keys, None))


async def test_a_new_key_is_fetched_when_a_token_names_it_and_the_old_one_is_dropped() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "old")]}
    async with serving(issuer), running(issuer, pause_seconds=0.05) as keys:
        await until(lambda: knows(keys, "old"))
        issuer.document = {"keys": [jwk(rsa_key(1), "new")]}
        await until(lambda: knows(keys, "new"))

        assert not keys.find("old")
        assert keys.generation == 2


async def test_however_many_unknown_names_come_fetches_stay_apart() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with serving(issuer), running(issuer, pause_seconds=0.3) as keys:
        await until(lambda: knows(keys, "a"))
        for number in range(100):
            assert not keys.find(f"unknown-{number}")
            await asyncio.sleep(0.01)

    gaps = [later - sooner for sooner, later in pairwise(issuer.fetched)]
    assert 1 <= len(gaps) <= 5
    assert min(gaps) >= 0.29


async def test_keys_are_renewed_though_nobody_asks() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with serving(issuer), running(issuer, pause_seconds=0.05, renewal_seconds=0.2) as keys:
        await until(lambda: knows(keys, "a"))
        issuer.document = {"keys": [jwk(rsa_key(1), "b")]}
        await until(lambda: keys.generation == 2)
        assert knows(keys, "b")


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_keys_stay_while_the_issuer_fails(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with serving(issuer), running(issuer, pause_seconds=0.05, renewal_seconds=0.1) as keys:
        await until(lambda: knows(keys, "a"))
        issuer.status = status
        fetched = len(issuer.fetched)
        await until(lambda: len(issuer.fetched) > fetched + 2)

        assert knows(keys, "a")
        assert keys.generation == 1
    assert f"the issuer's keys stay as they are: it answers with {status}" in caplog.text


async def test_keys_stay_while_the_issuer_is_gone_and_change_when_it_is_back() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        port = await first.enter_async_context(serving(issuer))
        keys = await stack.enter_async_context(
            running(issuer, pause_seconds=0.05, renewal_seconds=0.1)
        )
        await until(lambda: knows(keys, "a"))

        await first.aclose()
        issuer.document = {"keys": [jwk(rsa_key(1), "b")]}
        await asyncio.sleep(0.3)
        assert knows(keys, "a")

        await stack.enter_async_context(serving(issuer, port))
        await until(lambda: knows(keys, "b"))


async def test_an_empty_set_takes_no_key_away() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")]}
    async with serving(issuer), running(issuer, pause_seconds=0.05, renewal_seconds=0.1) as keys:
        await until(lambda: knows(keys, "a"))
        issuer.document = {"keys": []}
        fetched = len(issuer.fetched)
        await until(lambda: len(issuer.fetched) > fetched + 1)

        assert knows(keys, "a")


async def test_a_document_of_any_length_is_not_read_to_its_end() -> None:
    issuer = Issuer()
    issuer.document = {"keys": [jwk(rsa_key(0), "a")], "padding": "x" * DOCUMENT_BYTES_MAX}
    async with serving(issuer), running(issuer) as keys:
        await until(lambda: issuer.fetched)
        await asyncio.sleep(0.1)

        assert not knows(keys, "a")


async def test_where_nothing_listens_there_are_no_keys_and_no_crash() -> None:
    issuer = Issuer()
    async with serving(issuer):
        pass
    keys = JwksKeys(issuer.url, "RS256")
    task = asyncio.ensure_future(keys.run())
    await asyncio.sleep(0.1)

    assert not task.done()
    assert not knows(keys, "a")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
