"""Tokens tell who calls, and nothing but a good token does."""

import base64
import hashlib
import hmac
import json
import logging
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.enrollment.ingress.access import Access, Caller, keys_of
from services.enrollment.ingress.keys import JwksKeys, PublicKey
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.tests.signing import (
    STAFF_SCOPE,
    STUDENT_SCOPE,
    access,
    access_settings,
    bearer,
    claims,
    ec_key,
    ed_key,
    pem_file,
    private_pem,
    public_pem,
    rsa_key,
    signed,
)
from shared.identifiers import StudentId

NESTED_DEEPLY = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.e30"


def refusal(authorization: str | None, judge: Access | None = None) -> Problem:
    with pytest.raises(Problem) as refused:
        (judge or access()).caller(authorization)
    return refused.value


def assert_invalid(problem: Problem, detail: str) -> None:
    assert problem.kind is ProblemType.UNAUTHORIZED
    assert problem.detail == detail
    assert problem.headers()["WWW-Authenticate"] == (
        f'Bearer realm="enrollment", error="invalid_token", error_description="{detail}"'
    )


def encoded(part: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


# Good tokens


def test_a_students_token_tells_who_she_is() -> None:
    caller = access().caller(bearer(signed()))

    assert caller == Caller("S1", StudentId("S1"), is_staff=False, client="web")


def test_a_staffs_token_gives_no_student_id() -> None:
    caller = access().caller(bearer(signed(sub="auth0|ana@uni", scope=STAFF_SCOPE)))

    assert caller == Caller("auth0|ana@uni", None, is_staff=True, client="web")


def test_a_token_with_both_scopes_is_a_students_and_a_staffs() -> None:
    caller = access().caller(bearer(signed(scope=f"{STAFF_SCOPE} other {STUDENT_SCOPE}")))

    assert caller == Caller("S1", StudentId("S1"), is_staff=True, client="web")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_schemes_case_and_spaces_do_not_matter(scheme: str) -> None:
    assert access().caller(f"{scheme} {signed()}").subject == "S1"


def test_the_client_is_named_by_client_id_where_there_is_no_azp() -> None:
    assert access().caller(bearer(signed(azp=None, client_id="desk"))).client == "desk"


@pytest.mark.parametrize("azp", [None, 7, "", "a b", "x" * 65, "a\nb"])
def test_a_client_without_a_plain_name_is_unknown(azp: Any) -> None:
    assert access().caller(bearer(signed(azp=azp))).client == "unknown"


def test_one_audience_of_several_is_enough() -> None:
    assert access().caller(bearer(signed(aud=["other", "enrollment-api"]))).subject == "S1"


def test_a_token_needs_no_nbf() -> None:
    assert access().caller(bearer(signed(nbf=None))).subject == "S1"


def test_clocks_may_differ_by_the_leeway() -> None:
    now = int(time.time())

    assert access().caller(bearer(signed(exp=now - 20))).subject == "S1"
    assert access().caller(bearer(signed(nbf=now + 20))).subject == "S1"


def test_a_token_of_either_key_of_two_is_good() -> None:
    judge = access(rsa_key(0), rsa_key(1))

    assert judge.caller(bearer(signed(rsa_key(0)))).subject == "S1"
    assert judge.caller(bearer(signed(rsa_key(1)))).subject == "S1"


@pytest.mark.parametrize(("algorithm", "key"), [("ES256", ec_key()), ("EdDSA", ed_key())])
def test_other_algorithms_serve_where_they_are_the_pinned_one(algorithm: str, key: Any) -> None:
    judge = access(key, settings=access_settings(jwt_algorithm=algorithm))

    assert judge.caller(bearer(signed(key, algorithm=algorithm))).subject == "S1"


# Bad tokens


def test_a_missing_header_is_unauthorized_and_the_challenge_names_no_error() -> None:
    problem = refusal(None)

    assert problem.kind is ProblemType.UNAUTHORIZED
    assert problem.headers()["WWW-Authenticate"] == 'Bearer realm="enrollment"'


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "xyz"])
def test_another_scheme_is_unauthorized_and_the_challenge_names_no_error(header: str) -> None:
    problem = refusal(header)

    assert problem.kind is ProblemType.UNAUTHORIZED
    assert problem.headers()["WWW-Authenticate"] == 'Bearer realm="enrollment"'


def test_a_token_with_algorithm_none_is_invalid() -> None:
    token = b".".join([encoded({"alg": "none"}), encoded(claims()), b""]).decode()

    assert_invalid(
        refusal(bearer(token)), "the token is signed with an algorithm that is not taken"
    )


@pytest.mark.parametrize("algorithm", ["None", "NONE", "nOnE"])
def test_algorithm_none_in_other_letters_is_invalid(algorithm: str) -> None:
    token = b".".join([encoded({"alg": algorithm}), encoded(claims()), b""]).decode()

    assert refusal(bearer(token)).kind is ProblemType.UNAUTHORIZED


def test_a_token_signed_by_hs256_with_the_public_key_is_invalid() -> None:
    signing_input = encoded({"alg": "HS256", "typ": "JWT"}) + b"." + encoded(claims())
    signature = hmac.new(public_pem(rsa_key()), signing_input, hashlib.sha256).digest()
    token = signing_input + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")

    assert_invalid(
        refusal(bearer(token.decode())), "the token is signed with an algorithm that is not taken"
    )


def test_another_algorithm_of_the_same_key_is_invalid() -> None:
    assert_invalid(
        refusal(bearer(signed(algorithm="PS256"))),
        "the token is signed with an algorithm that is not taken",
    )


def test_a_token_for_another_audience_is_invalid() -> None:
    assert_invalid(
        refusal(bearer(signed(aud="payroll"))), "the token is meant for another audience"
    )


def test_a_token_of_another_issuer_is_invalid() -> None:
    assert_invalid(refusal(bearer(signed(iss="mallory"))), "the token comes from another issuer")


def test_an_expired_token_is_invalid() -> None:
    token = signed(exp=int(time.time()) - 60)

    assert_invalid(refusal(bearer(token)), "the token has expired")


def test_a_token_that_is_not_valid_yet_is_invalid() -> None:
    token = signed(nbf=int(time.time()) + 60)

    assert_invalid(refusal(bearer(token)), "the token is not valid yet")


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
def test_a_token_without_a_claim_that_it_needs_is_invalid(claim: str) -> None:
    token = jwt.encode(claims(**{claim: None}), rsa_key(), "RS256")

    assert_invalid(refusal(bearer(token)), "the token lacks one of exp, iss, aud, sub")


@pytest.mark.parametrize("exp", ["soon", True, [], 1e400, -1])
def test_a_token_whose_expiry_is_no_time_to_come_is_invalid(exp: Any) -> None:
    assert refusal(bearer(signed(exp=exp))).kind is ProblemType.UNAUTHORIZED


def test_a_token_signed_with_another_key_is_invalid() -> None:
    assert_invalid(refusal(bearer(signed(rsa_key(1)))), "the token's signature is wrong")


def test_a_token_whose_claims_were_changed_is_invalid() -> None:
    header, _, signature = signed().split(".")
    token = ".".join([header, encoded(claims(sub="S2")).decode(), signature])

    assert_invalid(refusal(bearer(token)), "the token's signature is wrong")


def test_a_token_that_brings_its_own_key_is_invalid() -> None:
    mallory = rsa_key(1)
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(mallory.public_key()))
    headers = {"jwk": own, "jku": "http://127.0.0.1:1/keys", "kid": "../../dev/null"}
    token = jwt.encode(claims(), mallory, algorithm="RS256", headers=headers)

    assert_invalid(refusal(bearer(token)), "the token's signature is wrong")


def test_a_token_with_a_critical_extension_that_nobody_knows_is_invalid() -> None:
    token = jwt.encode(claims(), rsa_key(), "RS256", headers={"crit": ["x"], "x": 1})

    assert refusal(bearer(token)).kind is ProblemType.UNAUTHORIZED


@pytest.mark.parametrize(
    "garbage",
    ["a", "a.b", "a.b.c", "....", "é.ü.ñ", "\ud800", "x" * 9000, NESTED_DEEPLY],
)
def test_garbage_is_invalid(garbage: str) -> None:
    assert_invalid(refusal(bearer(garbage)), "the token cannot be read")


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_no_text_is_worse_than_unauthorized(text: str) -> None:
    judge = access()

    assert refusal(text, judge).kind is ProblemType.UNAUTHORIZED
    assert refusal(bearer(text), judge).kind is ProblemType.UNAUTHORIZED


@pytest.mark.parametrize("scope", [None, "", "other", "enrollment:students", ["enrollment:staff"]])
def test_a_good_token_without_a_scope_of_ours_is_forbidden(scope: Any) -> None:
    problem = refusal(bearer(signed(scope=scope)))

    assert problem.kind is ProblemType.FORBIDDEN
    assert problem.headers()["WWW-Authenticate"] == (
        'Bearer realm="enrollment", error="insufficient_scope", '
        f'scope="{STUDENT_SCOPE} {STAFF_SCOPE}"'
    )


@pytest.mark.parametrize("subject", ["", "Ana López", "S1\n", "x" * 65, "a/b", "*", "auth0|1"])
def test_a_subject_that_is_no_student_id_is_invalid_for_a_student(subject: str) -> None:
    assert_invalid(
        refusal(bearer(signed(sub=subject))), "the token's subject is none that is known here"
    )


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nb", "*", "a?", "[ab]", "x" * 129])
def test_a_subject_that_could_not_be_a_part_of_a_key_is_invalid_for_staff(subject: str) -> None:
    assert_invalid(
        refusal(bearer(signed(sub=subject, scope=STAFF_SCOPE))),
        "the token's subject is none that is known here",
    )


def test_a_refusal_tells_nothing_of_the_token() -> None:
    token = signed(sub="S-SECRET", aud="A-SECRET", iss="I-SECRET")

    problem = refusal(bearer(token))

    told = json.dumps([problem.members(), problem.headers()])
    assert "SECRET" not in told
    assert token not in told


# Rights


def test_staff_may_do_what_is_for_staff() -> None:
    access().caller(bearer(signed(scope=STAFF_SCOPE))).require_staff()


def test_a_student_may_not_do_what_is_for_staff() -> None:
    caller = access().caller(bearer(signed()))

    with pytest.raises(Problem) as refused:
        caller.require_staff()

    assert refused.value.kind is ProblemType.FORBIDDEN
    assert 'error="insufficient_scope"' in refused.value.headers()["WWW-Authenticate"]


# Memory


class CountedKeys:
    """Counts how often a token is judged by them."""

    def __init__(self) -> None:
        self.found = 0
        self.generation = 0

    async def run(self) -> None:
        """Nothing changes but by the test."""

    def find(self, _kid: str | None) -> tuple[PublicKey, ...]:
        self.found += 1
        return (rsa_key().public_key(),)


def test_a_token_is_verified_once() -> None:
    keys = CountedKeys()
    judge = Access(access_settings(), keys)
    token = bearer(signed())

    callers = {judge.caller(token) for _ in range(10)}

    assert len(callers) == 1
    assert keys.found == 1


def test_a_remembered_token_expires() -> None:
    now = time.time()
    clock = [now]
    judge = access(now=lambda: clock[0], settings=access_settings(jwt_leeway_seconds=0))
    token = bearer(signed(exp=int(now) + 1))
    assert judge.caller(token).subject == "S1"

    clock[0] = now + 1
    time.sleep(max(0.0, int(now) + 1 - time.time()))  # PyJWT has a clock of its own

    assert_invalid(refusal(token, judge), "the token has expired")


def test_only_so_many_tokens_are_remembered_and_the_latest_used_stay() -> None:
    keys = CountedKeys()
    judge = Access(access_settings(), keys, verified_max=2)
    first, second, third = (bearer(signed(sub=f"S{n}")) for n in range(3))
    for token in (first, second, first, third):  # the second is now the one to forget
        judge.caller(token)
    assert keys.found == 3

    judge.caller(first)
    assert keys.found == 3
    judge.caller(second)
    assert keys.found == 4


def test_a_bad_token_is_not_remembered() -> None:
    judge = access()
    for _ in range(3):
        refusal(bearer(signed(rsa_key(1))), judge)

    assert not judge._verified


def test_a_remembered_token_is_judged_again_when_keys_change() -> None:
    keys = CountedKeys()
    judge = Access(access_settings(), keys)
    token = bearer(signed())
    judge.caller(token)

    keys.generation = 1
    judge.caller(token)

    assert keys.found == 2


# The developer's mode


def test_in_the_developers_mode_a_token_is_taken_at_its_word() -> None:
    judge = access(settings=access_settings(insecure_dev=True))

    student = judge.caller("Bearer student:S9")
    staff = judge.caller("Bearer staff:ana")

    assert student == Caller("S9", StudentId("S9"), is_staff=False, client="insecure-dev")
    assert staff == Caller("ana", None, is_staff=True, client="insecure-dev")


@pytest.mark.parametrize("token", ["student:", "staff:", "student:a b", "staff:*"])
def test_in_the_developers_mode_a_name_must_still_be_one(token: str) -> None:
    judge = access(settings=access_settings(insecure_dev=True))

    assert_invalid(
        refusal(bearer(token), judge), "the name in the token is none that is known here"
    )


def test_in_the_developers_mode_real_tokens_are_still_verified() -> None:
    judge = access(settings=access_settings(insecure_dev=True))

    assert judge.caller(bearer(signed())).subject == "S1"
    assert_invalid(refusal(bearer(signed(rsa_key(1))), judge), "the token's signature is wrong")


def test_the_developers_mode_says_so_loudly_at_each_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    access(settings=access_settings(insecure_dev=True))

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("INSECURE")


def test_without_the_developers_mode_its_tokens_are_invalid(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert_invalid(refusal("Bearer student:S9"), "the token cannot be read")
    assert_invalid(refusal("Bearer staff:ana"), "the token cannot be read")
    assert not caplog.records


# Where keys come from


def test_the_settings_name_a_file_or_a_url_or_nothing(tmp_path: Any) -> None:
    path = pem_file(tmp_path, public_pem(rsa_key()))
    url = "https://issuer.example/keys"

    of_file = keys_of(access_settings(jwt_public_key_file=path))
    of_nothing = keys_of(access_settings())

    assert len(of_file.find(None)) == 1
    assert isinstance(keys_of(access_settings(jwt_jwks_url=url)), JwksKeys)
    assert not of_nothing.find(None)


def test_while_no_key_of_the_issuer_is_known_the_client_is_asked_for_patience() -> None:
    keys = JwksKeys("https://issuer.example/keys", "RS256")

    problem = refusal(bearer(signed()), Access(access_settings(), keys))

    assert problem.kind is ProblemType.ISSUER_UNAVAILABLE
    assert problem.headers()["Retry-After"] == "1"


def test_a_private_key_is_refused(tmp_path: Any) -> None:
    path = pem_file(tmp_path, private_pem(rsa_key()))

    with pytest.raises(ValueError, match="private key"):
        access_settings(jwt_public_key_file=path)
