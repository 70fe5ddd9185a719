"""An issuer for tests: its keys, and tokens good and bad."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from services.enrollment.ingress.access import Access
from services.enrollment.ingress.keys import FixedKeys
from services.enrollment.ingress.settings import AccessSettings

AUDIENCE = "enrollment-api"
ISSUER = "enrollment"
STUDENT_SCOPE = "enrollment:student"
STAFF_SCOPE = "enrollment:staff"


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """One key for each number, made once: it takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a student's good token; one set to None is left out."""
    now = int(time.time())
    good = {
        "sub": "S1",
        "scope": STUDENT_SCOPE,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "nbf": now - 1,
        "exp": now + 600,
        "azp": "web",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(
    key: Any = None, algorithm: str = "RS256", kid: str | None = None, **changed: Any
) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**changed), key or rsa_key(), algorithm=algorithm, headers=headers)


def bearer(token: str) -> str:
    return f"Bearer {token}"


def access_settings(**changed: Any) -> AccessSettings:
    return AccessSettings(database_url="", kafka_bootstrap_servers="", **changed)


def access(*keys: Any, **options: Any) -> Access:
    """What judges tokens of the test's issuer."""
    public = [key.public_key() for key in keys or (rsa_key(),)]
    return Access(options.pop("settings", access_settings()), FixedKeys(public), **options)


def pem_file(folder: Path, *blocks: bytes) -> Path:
    path = folder / "keys.pem"
    path.write_bytes(b"".join(blocks))
    return path
