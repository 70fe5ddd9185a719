"""The issuer's public keys: from a PEM file, or from a JWKS URL and renewed in the background."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

LOGGER: Final = logging.getLogger(__name__)
KEYS_MAX: Final = 32
DOCUMENT_BYTES_MAX: Final = 256 * 1024
RSA_BITS_MIN: Final = 2048
FETCH_SECONDS: Final = 5.0
RENEWAL_SECONDS: Final = 300.0
PAUSE_SECONDS: Final = 10.0  # between two fetches, whatever asks for them
FIRST_PAUSE_SECONDS: Final = 1.0  # while there is no key at all
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)

Algorithm = Literal["RS256", "ES256", "EdDSA"]
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class NoKeysError(Exception):
    """No key of the issuer is known yet: no token can be judged."""


class Keys(Protocol):
    """Where keys come from."""

    @property
    def generation(self) -> int:
        """Give a number that changes whenever a key may have been withdrawn."""

    async def run(self) -> None:
        """Keep the keys fresh, as long as tokens are judged by them."""

    def find(self, kid: str | None) -> Sequence[PublicKey]:
        """Give the keys that may have signed a token; none: its key is unknown."""


class FixedKeys:
    """Keys that stay as long as the process; any of them may have signed, whatever the `kid`."""

    generation: Final = 0

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        assert len(keys) <= KEYS_MAX
        self._keys = tuple(keys)

    async def run(self) -> None:
        """Do nothing."""

    def find(self, kid: str | None) -> Sequence[PublicKey]:  # noqa: ARG002  (as Keys has it)
        """Give all of them."""
        return self._keys


def read_pem(path: Path, algorithm: Algorithm) -> FixedKeys:
    """Read the public keys of a file: the present one, and perhaps the next or the last.

    Raises ValueError with a sentence where one does not serve.
    """
    try:
        found = [match.group() for match in PEM.finditer(path.read_bytes())]
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from None
    if not 1 <= len(found) <= KEYS_MAX:
        raise ValueError(f"the file has {len(found)} PEM blocks: give the public key in one")
    return FixedKeys([_load_pem(block, algorithm) for block in found])


def _load_pem(block: bytes, algorithm: Algorithm) -> PublicKey:
    if b"PRIVATE KEY" in block:
        raise ValueError("the file has a private key: keep that with the issuer, and give its half")
    try:
        key = load_pem_public_key(block)
    except Exception as error:
        raise ValueError("the file has a PEM block that is no public key") from error
    return fit(key, algorithm)


def fit(key: object, algorithm: Algorithm) -> PublicKey:
    """Give the key back if signatures of this algorithm can be trusted to it, or raise."""
    match algorithm, key:
        case "RS256", RSAPublicKey(key_size=bits):
            if bits < RSA_BITS_MIN:
                raise ValueError(f"the key has {bits} bits: {RSA_BITS_MIN} are the least")
            return key
        case "ES256", EllipticCurvePublicKey(curve=SECP256R1()):
            return key
        case "EdDSA", Ed25519PublicKey():
            return key
        case _:
            raise ValueError(f"the key is not one for {algorithm}")


def check_jwks_url(url: str) -> str:
    """Give the URL back if keys from there can be trusted, or raise ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return url
    raise ValueError("take a URL of https: whoever can change the keys can be anybody")


class JwksKeys:
    """Keys that the issuer publishes; while it is away, those that it published last."""

    def __init__(
        self,
        url: str,
        algorithm: Algorithm,
        *,
        renewal_seconds: float = RENEWAL_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        assert 0 < pause_seconds <= renewal_seconds
        self._url = check_jwks_url(url)
        self._algorithm = algorithm
        self._renewal_seconds = renewal_seconds
        self._pause_seconds = pause_seconds
        self._keys: Mapping[str | None, PublicKey] = {}
        self._wanted = asyncio.Event()
        self.generation = 0

    def find(self, kid: str | None) -> Sequence[PublicKey]:
        """Give the key of that name; an unknown name has the keys fetched soon, for the next."""
        if not self._keys:
            raise NoKeysError
        if kid is None:
            return tuple(self._keys.values()) if len(self._keys) == 1 else ()
        key = self._keys.get(kid)
        if key is None:
            self._wanted.set()
            return ()
        return (key,)

    async def run(self) -> None:
        """Fetch the keys at bounded intervals, for ever."""
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self._wanted.clear()
                is_renewed = await self._renew(session)
                await asyncio.sleep(self._pause_seconds if self._keys else FIRST_PAUSE_SECONDS)
                if is_renewed:
                    await self._until_due()

    async def _renew(self, session: aiohttp.ClientSession) -> bool:
        try:
            self._take(parse_jwks(await self._fetch(session), self._algorithm))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            kind = type(error).__name__  # its text may show the URL
            LOGGER.warning("the issuer's keys stay as they are: %s", kind)
            return False
        except ValueError as error:
            LOGGER.warning("the issuer's keys stay as they are: %s", error)
            return False
        return True

    async def _fetch(self, session: aiohttp.ClientSession) -> bytes:
        async with session.get(self._url, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"it answers with {answer.status}")
            document = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                document += piece
                if len(document) > DOCUMENT_BYTES_MAX:
                    raise ValueError(f"it answers with more than {DOCUMENT_BYTES_MAX} bytes")
            return bytes(document)

    def _take(self, keys: Mapping[str | None, PublicKey]) -> None:
        if keys != self._keys:
            LOGGER.info("the issuer has %d keys, known as %s", len(keys), sorted(map(str, keys)))
            self._keys = keys
            self.generation += 1

    async def _until_due(self) -> None:
        """Wait until somebody has asked for an unknown key, or it is time to look again."""
        waiting = asyncio.ensure_future(self._wanted.wait())
        await asyncio.wait([waiting], timeout=self._renewal_seconds - self._pause_seconds)
        waiting.cancel()


def parse_jwks(document: bytes, algorithm: Algorithm) -> dict[str | None, PublicKey]:
    """Take the keys that can have signed a token; raise ValueError where there is none."""
    try:
        entries = json.loads(document)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it answers with what is no set of keys") from error
    if not isinstance(entries, list) or len(entries) > KEYS_MAX:
        raise ValueError(f"it answers with no list of at most {KEYS_MAX} keys")
    keys = {}
    for entry in entries:
        key = _usable(entry, algorithm)
        if key is not None:
            keys[entry.get("kid")] = key
    if not keys:
        raise ValueError(f"it answers with no key for {algorithm}")
    return keys


def _usable(entry: Any, algorithm: Algorithm) -> PublicKey | None:
    """Skip what is for encryption or other algorithms: an issuer has such keys too."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("alg", algorithm) != algorithm or not isinstance(entry.get("kid", ""), str):
        return None
    try:
        return fit(jwt.PyJWK(entry, algorithm).key, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        LOGGER.warning("a key of the issuer does not serve: %s", type(error).__name__)
        return None
