"""Tokens as the command line signs them, read by a library that knows nothing of the ingress."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner, Result

from deploy.local import keys
from services.cli.main import app


@pytest.fixture(autouse=True)
def state_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state directory with keys, and an environment that says nothing of tokens."""
    for name in ("JWT_ISSUER", "JWT_AUDIENCE", "JWT_ALGORITHM", "STAFF_SCOPE", "STUDENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENROLL_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("ENROLL_OPERATOR", "amalia")
    keys.make(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments], prog_name="enroll")


def claims_of(token: str, state_dir: Path, **more: Any) -> dict[str, Any]:
    pem = keys.public_key_file(state_dir).read_bytes()
    checks = {"algorithms": ["RS256"], "audience": "enrollment-api", "issuer": "enrollment"}
    found: dict[str, Any] = jwt.decode(token, pem, **checks | more)
    return found


def test_a_students_token_is_all_that_is_printed(state_dir: Path) -> None:
    result = run("--student", "S000001")

    assert (result.exit_code, result.stderr) == (0, "")
    claims = claims_of(result.stdout.removesuffix("\n"), state_dir)
    now = datetime.now(UTC).timestamp()
    assert claims.pop("iat") == claims.pop("nbf") == pytest.approx(now, abs=5)
    assert claims.pop("exp") == pytest.approx(now + 3600, abs=5)
    assert claims == {
        "sub": "S000001",
        "scope": "enrollment:student",
        "iss": "enrollment",
        "aud": "enrollment-api",
        "azp": "enroll",
    }


@pytest.mark.parametrize(("arguments", "name"), [([], "amalia"), (["berta"], "berta")])
def test_staff_are_named_or_are_whoever_acts(
    arguments: list[str], name: str, state_dir: Path
) -> None:
    result = run("--staff", *arguments)

    claims = claims_of(result.stdout.strip(), state_dir)
    assert (claims["sub"], claims["scope"]) == (name, "enrollment:staff")


def test_a_program_gets_the_token_its_end_and_nothing_else(state_dir: Path) -> None:
    result = run("--student", "S1", "--expires-seconds", "60", "--client", "portal", "--json")

    said = json.loads(result.stdout)
    claims = claims_of(said["token"], state_dir)
    assert set(said) == {"token", "expires_at"}
    assert datetime.fromisoformat(said["expires_at"]).timestamp() == claims["exp"]
    assert claims["exp"] - claims["iat"] == 60
    assert claims["azp"] == "portal"


def test_for_a_stack_elsewhere_the_key_and_the_environment_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "elsewhere.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    monkeypatch.setenv("JWT_ALGORITHM", "ES256")
    monkeypatch.setenv("JWT_ISSUER", "elsewhere")

    result = run("--student", "S1", "--private-key", str(file))

    claims = jwt.decode(
        result.stdout.strip(),
        key.public_key(),
        algorithms=["ES256"],
        audience="enrollment-api",
        issuer="elsewhere",
    )
    assert claims["sub"] == "S1"


def test_where_no_stack_was_ever_started_it_says_what_to_do(state_dir: Path) -> None:
    keys.wipe(state_dir)

    result = run("--student", "S1")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "run `enroll up`, which makes one, or give --private-key FILE" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["--student", "S1", "--staff"], ["--student", "S1", "berta"], ["berta"]],
    ids=" ".join,
)
def test_it_must_be_clear_whose_token_it_is(arguments: list[str]) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "whose token?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--student", "S 1"], "the student is 'S 1'"),
        (["--student", ""], "the student is ''"),
        (["--staff", "a" * 65], "the name is 'aaa"),
        (["--student", "S1", "--client", "a/b"], "the client is 'a/b'"),
    ],
)
def test_names_that_the_ingress_would_refuse_are_not_signed(
    arguments: list[str], what: str
) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert what in result.stderr


@pytest.mark.parametrize("text", [b"nonsense", None], ids=["no-pem", "no-file"])
def test_a_key_that_cannot_be_used_is_named(text: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    if text is not None:
        file.write_bytes(text)

    result = run("--student", "S1", "--private-key", str(file))

    assert (result.exit_code, result.stdout) == (2, "")
    assert str(file) in result.stderr


def test_a_key_of_the_wrong_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", "ES256")

    result = run("--student", "S1")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds no private key for ES256" in result.stderr
