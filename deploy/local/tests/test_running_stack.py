"""A running stack on real servers: what it gives, and how it mends itself."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local import postgres, processes, stack, state
from deploy.local.state import ProcessState
from deploy.local.status import ServerStatus, ServiceStatus, Status
from deploy.local.tests.conftest import identities, wait_until


def pid_of(status: Status, name: str) -> int:
    known: dict[str, ServerStatus | ServiceStatus] = {
        **status.servers.by_name(),
        **status.services,
    }
    pid = known[name].pid
    assert pid is not None
    return pid


def kill_and_wait(running: Path, name: str) -> Status:
    before = pid_of(stack.status(running), name)
    os.kill(before, signal.SIGKILL)

    def is_mended() -> bool:
        status = stack.status(running)
        return status.is_up and pid_of(status, name) != before

    wait_until(is_mended)
    return stack.status(running)


def query(url: str, statement: str) -> str:
    ended = postgres._psql(url, statement)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def environment_of(running: Path, name: str) -> dict[str, str]:
    """What a stand-in was given."""
    with urllib.request.urlopen(stack.status(running).services[name].admin_url, timeout=5) as said:
        given: dict[str, str] = json.load(said)
    return given


def test_status_names_every_process_with_its_pid_state_and_address(running: Path) -> None:
    found = json.loads(stack.status(running).model_dump_json())
    assert list(found) == ["services", "servers"]
    assert set(found["services"]) == {"enrollment", "capacity", "ingress"}
    assert set(found["services"]["capacity"]) == {"pid", "state", "admin_url"}
    assert set(found["services"]["ingress"]) == {"pid", "state", "admin_url", "url"}
    assert set(found["servers"]) == {"kafka", "postgres", "redis"}
    assert set(found["servers"]["kafka"]) == {"pid", "state", "url"}
    assert {server["state"] for server in found["servers"].values()} == {"ready"}


def test_a_service_gets_its_database_its_port_and_its_instance(running: Path) -> None:
    status = stack.status(running)
    given = environment_of(running, "capacity")
    assert given["INSTANCE"] == "capacity-1"
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == status.servers.kafka.url
    assert query(given["DATABASE_URL"], "SELECT current_user, current_database()").count("cap") == 2


def test_the_ingress_gets_a_port_for_clients_redis_a_key_and_the_addresses_of_all(
    running: Path,
) -> None:
    status, given = stack.status(running), environment_of(running, "ingress")
    assert status.services["ingress"].url == f"http://127.0.0.1:{given['HTTP_PORT']}"
    assert given["HTTP_PORT"] == str(state.load(running).ports["ingress-http"])
    assert given["REDIS_URL"] == status.servers.redis.url
    assert Path(given["JWT_PUBLIC_KEY_FILE"]).read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert given["ADMIN_PEERS"].split(",") == [one.admin_url for one in status.services.values()]
    assert query(given["DATABASE_URL"], "SELECT current_user, current_database()").count("ing") == 2


def test_only_the_ingress_is_told_where_redis_is(running: Path) -> None:
    assert "REDIS_URL" not in environment_of(running, "enrollment")


def test_no_process_works_in_the_directory_of_whoever_started_it(running: Path) -> None:
    elsewhere = Path.cwd()
    started = identities(state.load(running))
    assert len(started) == 6
    assert elsewhere not in {Path(psutil.Process(one.pid).cwd()) for one in started}


def test_a_role_cannot_connect_to_the_database_of_another(running: Path) -> None:
    admin_url = stack.status(running).servers.postgres.url or ""
    foreign = postgres.role_url(admin_url, "student").removesuffix("student") + "enrollment"
    assert "permission denied" in postgres._psql(foreign, "SELECT 1").stdout


def test_a_role_sees_how_old_the_transactions_of_others_are(running: Path) -> None:
    admin_url = stack.status(running).servers.postgres.url or ""
    hidden = "SELECT count(*) || ' hidden' FROM pg_stat_activity WHERE query LIKE '<insuff%'"
    assert " 0 hidden" in query(postgres.role_url(admin_url, "student"), hidden)


def test_servers_from_before_the_ingress_get_its_role_and_database_too(running: Path) -> None:
    admin_url = stack.status(running).servers.postgres.url or ""
    query(admin_url, "DROP DATABASE ingress WITH (FORCE);\nDROP ROLE ingress;\n")
    for _ in range(2):  # as each start does
        postgres.create_databases(admin_url)
    own = postgres.role_url(admin_url, "ingress")
    assert query(own, "SELECT current_user, current_database()").count("ingress") == 2
    for one, other in (("ingress", "enrollment"), ("enrollment", "ingress")):
        foreign = postgres.role_url(admin_url, one).removesuffix(one) + other
        assert "permission denied" in postgres._psql(foreign, "SELECT 1").stdout


def test_a_second_start_in_the_same_directory_is_refused(running: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.supervisor", "--state-dir", str(running)]
    ended = subprocess.run(
        command, input="{}", capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"A stack is already running or starting in {running}:")


def test_up_on_a_running_stack_changes_nothing(running: Path) -> None:
    before = stack.status(running)
    assert stack.up(running) == before


def test_a_killed_service_is_started_again_on_its_port(running: Path) -> None:
    before = stack.status(running)
    after = kill_and_wait(running, "capacity")
    assert after.services["capacity"].admin_url == before.services["capacity"].admin_url


def test_a_killed_postgres_comes_back_with_its_port_and_data(running: Path) -> None:
    url = postgres.role_url(stack.status(running).servers.postgres.url or "", "enrollment")
    query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    after = kill_and_wait(running, "postgres")
    assert postgres.role_url(after.servers.postgres.url or "", "enrollment") == url
    assert "42" in query(url, "SELECT answer FROM kept")


def test_a_killed_kafka_comes_back_with_its_port_and_data(running: Path) -> None:
    url = stack.status(running).servers.kafka.url or ""
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": url, "log_level": 0}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic("kept", 1)])["kept"].result(timeout=10)
    producer = Producer(servers)
    producer.produce("kept", b"message")
    assert producer.flush(10) == 0
    assert kill_and_wait(running, "kafka").servers.kafka.url == url
    consumer = Consumer({**servers, "group.id": "test"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    message = consumer.poll(20)
    assert message is not None
    assert message.value() == b"message"
    consumer.close()


def test_a_killed_redis_comes_back_on_its_port_and_forgets(running: Path) -> None:
    url = stack.status(running).servers.redis.url or ""
    with redis.Redis.from_url(url) as client:
        client.set("kept", "no")
    assert kill_and_wait(running, "redis").servers.redis.url == url
    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0


def test_redis_listens_on_the_loopback_and_bounds_its_memory(running: Path) -> None:
    with redis.Redis.from_url(stack.status(running).servers.redis.url or "") as client:
        told = client.config_get("bind", "save", "appendonly", "maxmemory", "maxmemory-policy")
    assert told == {
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "maxmemory": str(256 * 1024 * 1024),
        "maxmemory-policy": "allkeys-lru",
    }


def test_restart_returns_when_another_process_is_ready(running: Path) -> None:
    before = stack.status(running)
    for name in ("postgres", "redis", "enrollment"):
        after = stack.restart(running, name)
        assert pid_of(after, name) != pid_of(before, name)


def test_a_process_that_was_stopped_stays_down_until_it_is_started(running: Path) -> None:
    stack.stop_one(running, "capacity")
    wait_until(lambda: stack.status(running).services["capacity"].state is ProcessState.STOPPED)
    assert not stack.status(running).is_up
    assert stack.start_one(running, "capacity").services["capacity"].pid is not None


def test_up_starts_what_was_stopped(running: Path) -> None:
    stack.stop_one(running, "capacity")
    assert stack.up(running).is_up


def test_when_the_supervisor_is_killed_its_children_die_and_up_brings_all_back(
    running: Path,
) -> None:
    before, known = stack.status(running), state.load(running)
    assert known.supervisor is not None
    os.kill(known.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not any(processes.is_alive(identity) for identity in identities(known)))
    assert stack.status(running).states()["kafka"] is ProcessState.STOPPED
    after = stack.up(running)
    assert after.servers.kafka.url == before.servers.kafka.url
    url = postgres.role_url(after.servers.postgres.url or "", "enrollment")
    assert "42" in query(url, "SELECT answer FROM kept")


def test_when_everything_is_killed_at_once_up_brings_all_back(running: Path) -> None:
    known = state.load(running)
    for identity in [known.supervisor, *identities(known)]:
        assert identity is not None
        os.kill(identity.pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_alive(known.supervisor))
    after = stack.up(running)
    assert set(after.services) == {"enrollment", "capacity", "ingress"}
    url = postgres.role_url(after.servers.postgres.url or "", "enrollment")
    assert "42" in query(url, "SELECT answer FROM kept")
