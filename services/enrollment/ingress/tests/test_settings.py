"""A bad value ends the start with a sentence that says what to do."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.tests.signing import ec_key, pem_file, public_pem, rsa_key
from shared.codec import describe


def settings(**values: Any) -> IngressSettings:
    return IngressSettings(database_url="", kafka_bootstrap_servers="", **values)


def complaints(**values: Any) -> tuple[str, ...]:
    with pytest.raises(ValidationError) as refused:
        settings(**values)
    return describe(refused.value)


def test_without_any_key_of_an_issuer_it_does_not_start() -> None:
    [complaint] = complaints()

    assert complaint.startswith("jwt_jwks_url: ")
    assert "JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL" in complaint


def test_a_key_file_is_enough(tmp_path: Path) -> None:
    path = pem_file(tmp_path, public_pem(rsa_key()))

    assert settings(jwt_public_key_file=path).jwt_public_key_file == path


def test_a_url_of_keys_is_enough() -> None:
    url = "https://issuer.example/keys"

    assert settings(jwt_jwks_url=url).jwt_jwks_url == url


def test_a_url_of_keys_that_others_could_answer_is_refused() -> None:
    assert "https" in complaints(jwt_jwks_url="http://issuer.example/keys")[0]


def test_a_key_file_that_does_not_serve_is_one_complaint(tmp_path: Path) -> None:
    path = pem_file(tmp_path, public_pem(ec_key()))

    [complaint] = complaints(jwt_public_key_file=path)

    assert complaint == "jwt_public_key_file: Value error, the key is not one for RS256"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_developers_mode_listens_on_the_loopback(host: str) -> None:
    assert settings(insecure_dev=True, http_host=host).http_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "127.0.0.1.example"])
def test_the_developers_mode_refuses_to_listen_elsewhere(host: str) -> None:
    [complaint] = complaints(insecure_dev=True, http_host=host)

    assert complaint.startswith("http_host: ")
    assert "INSECURE_DEV" in complaint


@pytest.mark.parametrize("seconds", [{"create": 0}, {"cancel": -1}, {"crate": 60}, {"create": 1e9}])
def test_a_time_to_live_that_redis_would_refuse_or_nobody_would_use_is_refused(
    seconds: dict[str, int],
) -> None:
    [complaint] = complaints(insecure_dev=True, idempotency_ttl=seconds)

    assert complaint.startswith("idempotency_ttl.")


def test_operations_may_have_times_to_live_of_their_own() -> None:
    seconds = {"create": 60, "cancel": 30}

    assert settings(insecure_dev=True, idempotency_ttl=seconds).idempotency_ttl == seconds


def test_an_address_that_is_not_of_redis_is_refused_without_showing_its_password() -> None:
    [complaint] = complaints(insecure_dev=True, redis_url="http://user:secret@redis:6379")

    assert "redis://" in complaint
    assert "secret" not in complaint


def test_times_to_live_by_operation_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDEMPOTENCY_TTL", '{"create": 3600}')

    assert settings(insecure_dev=True).idempotency_ttl == {"create": 3600}


@pytest.mark.parametrize("text", ["{bad", "", "[]", '{"create": "soon"}'])
def test_times_to_live_that_cannot_be_read_are_one_complaint_among_others(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEMPOTENCY_TTL", text)
    monkeypatch.setenv("HTTP_PORT", "none")

    fields = {complaint.partition(":")[0].partition(".")[0] for complaint in complaints()}

    assert fields == {"jwt_jwks_url", "http_port", "idempotency_ttl"}


def test_addresses_of_other_processes_are_read_at_the_start_and_not_when_they_are_asked() -> None:
    [complaint] = complaints(insecure_dev=True, admin_peers="http://10.0.0.1:9000,10.0.0.2:9000")

    assert complaint.startswith("admin_peers: ")
    assert "http://HOST:PORT" in complaint
