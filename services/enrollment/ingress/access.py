"""Who calls: a token is verified, and tells the caller and what she may do."""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import jwt

from services.enrollment.ingress.keys import FixedKeys, JwksKeys, Keys, NoKeysError, read_pem
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.settings import AccessSettings
from shared.events import IDENTIFIER_PATTERN
from shared.identifiers import StudentId

LOGGER: Final = logging.getLogger(__name__)
TOKEN_LENGTH_MAX: Final = 8192
VERIFIED_MAX: Final = 20_000
HEADS_MAX: Final = 64
STUDENT_ID: Final = re.compile(IDENTIFIER_PATTERN)
STAFF_SUBJECT: Final = re.compile(r"[A-Za-z0-9._:@|+-]{1,128}")
CLIENT: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
UNKNOWN_CLIENT: Final = "unknown"
DEV_CLIENT: Final = "insecure-dev"
DEV_STUDENT: Final = "student:"
DEV_STAFF: Final = "staff:"
REQUIRED: Final = ("exp", "iss", "aud", "sub")
INVALID: Final = "invalid_token"  # as RFC 6750 calls it
CHALLENGE: Final = 'Bearer realm="enrollment"'
INSUFFICIENT_SCOPE: Final = f'{CHALLENGE}, error="insufficient_scope"'
UNREADABLE: Final = "the token cannot be read"

WHAT_IS_WRONG: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is meant for another audience"),
    (jwt.InvalidIssuerError, "the token comes from another issuer"),
    (jwt.MissingRequiredClaimError, f"the token lacks one of {', '.join(REQUIRED)}"),
    (jwt.InvalidAlgorithmError, "the token is signed with an algorithm that is not taken"),
    (jwt.InvalidSignatureError, "the token's signature is wrong"),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request; staff may have no student id, and a student has no staff's rights."""

    subject: str
    student_id: StudentId | None
    is_staff: bool
    client: str

    def require_staff(self) -> None:
        """Raise a Problem unless staff calls."""
        if not self.is_staff:
            raise Problem(
                ProblemType.FORBIDDEN,
                "only staff may do this: use a token with the scope of staff",
                headers={"WWW-Authenticate": INSUFFICIENT_SCOPE},
            )


class Access:
    """Verifies tokens, and remembers those that it has verified until they expire."""

    def __init__(
        self,
        settings: AccessSettings,
        keys: Keys,
        *,
        now: Callable[[], float] = time.time,
        verified_max: int = VERIFIED_MAX,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._now = now
        self._verified_max = verified_max
        self._verified: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._generation = keys.generation
        if settings.insecure_dev:
            LOGGER.warning(
                "INSECURE: anybody who can connect can be any student, or staff, without a token; "
                "set INSECURE_DEV=false wherever this is not a developer's own machine"
            )

    def caller(self, authorization: str | None) -> Caller:
        """Tell who calls by the header Authorization, or raise a Problem."""
        if authorization is None:
            raise unauthorized("the header Authorization is missing")
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("the header Authorization is not `Bearer <token>`")
        if self._settings.insecure_dev and token.startswith((DEV_STUDENT, DEV_STAFF)):
            return _dev_caller(token)
        if len(token) > TOKEN_LENGTH_MAX:
            raise unauthorized(UNREADABLE, INVALID)
        return self._remembered(token)

    def _remembered(self, token: str) -> Caller:
        if self._generation != self._keys.generation:  # the key of any of them may be withdrawn
            self._verified.clear()
            self._generation = self._keys.generation
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and self._now() < known[1]:
            self._verified.move_to_end(digest)
            return known[0]
        claims = self._verify(token)
        caller = self._caller_of(claims)
        self._verified[digest] = (caller, float(claims["exp"]))
        if len(self._verified) > self._verified_max:
            self._verified.popitem(last=False)
        return caller

    def _verify(self, token: str) -> dict[str, Any]:
        """Give the claims of a token that one of the issuer's keys has signed."""
        error: Exception = jwt.InvalidSignatureError()
        try:
            for key in self._keys.find(_key_id(token.partition(".")[0])):
                try:
                    return self._decode(token, key)
                except jwt.InvalidSignatureError:
                    continue
        except NoKeysError:
            raise Problem(ProblemType.ISSUER_UNAVAILABLE) from None
        except (jwt.PyJWTError, ValueError, OverflowError) as wrong:
            error = wrong
        raise unauthorized(_describe(error), INVALID) from None

    def _decode(self, token: str, key: Any) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[self._settings.jwt_algorithm],
            issuer=self._settings.jwt_issuer,
            audience=self._settings.jwt_audience,
            leeway=self._settings.jwt_leeway_seconds,
            options={"require": list(REQUIRED)},
        )

    def _caller_of(self, claims: Mapping[str, Any]) -> Caller:
        scope = claims.get("scope")
        scopes = set(scope.split()) if isinstance(scope, str) else set()
        is_staff = self._settings.staff_scope in scopes
        is_student = self._settings.student_scope in scopes
        subject = claims["sub"]
        if not is_staff and not is_student:
            raise self._without_scope()
        student_id = StudentId(subject) if is_student and STUDENT_ID.fullmatch(subject) else None
        if student_id is None and not (is_staff and STAFF_SUBJECT.fullmatch(subject)):
            raise unauthorized("the token's subject is none that is known here", INVALID)
        return Caller(subject, student_id, is_staff, _client_of(claims))

    def _without_scope(self) -> Problem:
        needed = f"{self._settings.student_scope} {self._settings.staff_scope}"
        return Problem(
            ProblemType.FORBIDDEN,
            f"the token has neither of the scopes {needed}",
            headers={"WWW-Authenticate": f'{INSUFFICIENT_SCOPE}, scope="{needed}"'},
        )


def keys_of(settings: AccessSettings) -> Keys:
    """Give the issuer's keys as the settings name them; their `run` must run."""
    if settings.jwt_jwks_url is not None:
        return JwksKeys(settings.jwt_jwks_url, settings.jwt_algorithm)
    if settings.jwt_public_key_file is not None:
        return read_pem(settings.jwt_public_key_file, settings.jwt_algorithm)
    return FixedKeys(())


@lru_cache(HEADS_MAX)
def _key_id(head: str) -> str | None:
    """Read which key has signed, from a token's first part: an issuer's tokens have that in common.

    It is read as of a token without claims and signature, for only those who verify need them.
    """
    kid: str | None = jwt.get_unverified_header(f"{head}.e30.").get("kid")
    return kid


def _client_of(claims: Mapping[str, Any]) -> str:
    client = claims.get("azp", claims.get("client_id"))
    is_name = isinstance(client, str) and CLIENT.fullmatch(client)
    return str(client) if is_name else UNKNOWN_CLIENT


def _dev_caller(token: str) -> Caller:
    """Take the token at its word: only ever called where all are on this machine."""
    kind, _, name = token.partition(":")
    if not STUDENT_ID.fullmatch(name):
        raise unauthorized("the name in the token is none that is known here", INVALID)
    student_id = None if kind == "staff" else StudentId(name)
    return Caller(name, student_id, is_staff=student_id is None, client=DEV_CLIENT)


def _describe(error: Exception) -> str:
    """Say what is wrong, and nothing of what the token says."""
    return next((text for kind, text in WHAT_IS_WRONG if isinstance(error, kind)), UNREADABLE)


def unauthorized(detail: str, error: str | None = None) -> Problem:
    """Make the answer to a request without a valid token."""
    told = "" if error is None else f', error="{error}", error_description="{detail}"'
    return Problem(ProblemType.UNAUTHORIZED, detail, headers={"WWW-Authenticate": CHALLENGE + told})
