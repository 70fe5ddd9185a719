"""The pair of keys: made once, kept, and for its owner's eyes alone."""

import stat
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from deploy.local import keys


def test_nobody_but_its_owner_reads_the_private_key(tmp_path: Path) -> None:
    keys.make(tmp_path)

    private_file = keys.private_key_file(tmp_path)
    assert stat.S_IMODE(private_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(private_file.parent.stat().st_mode) == 0o700
    assert b"PRIVATE KEY" in private_file.read_bytes()


def test_the_public_file_holds_the_public_half_alone(tmp_path: Path) -> None:
    keys.make(tmp_path)

    pem = keys.public_key_file(tmp_path).read_bytes()
    assert load_pem_public_key(pem)
    assert b"PRIVATE" not in pem


def test_the_pair_is_kept_and_its_public_half_made_again_where_it_is_lost(tmp_path: Path) -> None:
    keys.make(tmp_path)
    private_file, public_file = keys.private_key_file(tmp_path), keys.public_key_file(tmp_path)
    before = private_file.read_bytes(), public_file.read_bytes()
    public_file.unlink()

    keys.make(tmp_path)

    assert (private_file.read_bytes(), public_file.read_bytes()) == before


def test_a_pair_is_made_anew_once_the_old_one_is_wiped(tmp_path: Path) -> None:
    keys.make(tmp_path)
    before = keys.private_key_file(tmp_path).read_bytes()
    keys.wipe(tmp_path)
    assert not keys.private_key_file(tmp_path).exists()

    keys.make(tmp_path)

    assert keys.private_key_file(tmp_path).read_bytes() != before
