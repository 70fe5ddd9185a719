"""The key pair behind the tokens of the local stack: made once, kept until all is wiped."""

import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537


def private_key_file(state_dir: Path) -> Path:
    return _directory(state_dir) / "private.pem"


def public_key_file(state_dir: Path) -> Path:
    return _directory(state_dir) / "public.pem"


def _directory(state_dir: Path) -> Path:
    return state_dir / "keys"


def make(state_dir: Path) -> None:
    """Makes the pair the first time; the public half follows from the private one."""
    private_file, public_file = private_key_file(state_dir), public_key_file(state_dir)
    if private_file.exists() and public_file.exists():
        return
    _directory(state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    if not private_file.exists():
        _write(private_file, _new_private_pem())
    _write(public_file, _public_pem(private_file.read_bytes()))


def wipe(state_dir: Path) -> None:
    shutil.rmtree(_directory(state_dir), ignore_errors=True)


def _new_private_pem() -> bytes:
    return rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_pem(private_pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(private_pem, password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _write(path: Path, pem: bytes) -> None:
    """Renames the whole file into place; nobody but its owner ever reads it."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    new.replace(path)
