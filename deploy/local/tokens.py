"""Signs tokens such as the ingress takes: with the local stack's key, or another issuer's."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from deploy.local.errors import StackError
from services.enrollment.ingress.settings import AccessSettings


@dataclass(frozen=True)
class Issuer:
    """Signs in the name of the issuer that the ingress trusts."""

    private_key: Any  # of whichever kind the algorithm needs
    rules: AccessSettings

    def student(self, student_id: str, *, client: str, now: datetime, lifetime_seconds: int) -> str:
        """A token with which this student acts for herself."""
        return self._sign(student_id, self.rules.student_scope, client, now, lifetime_seconds)

    def staff(self, name: str, *, client: str, now: datetime, lifetime_seconds: int) -> str:
        """A token with which staff act for any student."""
        return self._sign(name, self.rules.staff_scope, client, now, lifetime_seconds)

    def _sign(
        self, subject: str, scope: str, client: str, now: datetime, lifetime_seconds: int
    ) -> str:
        seconds = int(now.timestamp())
        claims = {
            "sub": subject,
            "scope": scope,
            "iss": self.rules.jwt_issuer,
            "aud": self.rules.jwt_audience,
            "iat": seconds,
            "nbf": seconds,
            "exp": seconds + lifetime_seconds,
            "azp": client,
        }
        return jwt.encode(claims, self.private_key, algorithm=self.rules.jwt_algorithm)


def issuer_with(private_key_file: Path) -> Issuer:
    """The issuer whose key is in this PEM file; its other rules come from the environment."""
    rules = _rules()
    try:
        key = serialization.load_pem_private_key(private_key_file.read_bytes(), password=None)
        jwt.get_algorithm_by_name(rules.jwt_algorithm).prepare_key(key)
    except OSError as error:
        raise StackError(f"{private_key_file} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, jwt.InvalidKeyError) as error:
        raise StackError(
            f"{private_key_file} holds no private key for {rules.jwt_algorithm} ({error}): "
            "give a PEM file without a password, of the kind that JWT_ALGORITHM needs."
        ) from error
    return Issuer(key, rules)


def _rules() -> AccessSettings:
    try:
        # The servers are the ingress's business: of these settings only those of tokens count.
        return AccessSettings(database_url="", kafka_bootstrap_servers="")
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise StackError(f"{name} in the environment is bad: {first['msg']}.") from error
