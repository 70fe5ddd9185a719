"""Starting and stopping whole stacks on real servers."""

import asyncio
import sys
from pathlib import Path

import pytest

from deploy.local import (
    kafka,
    keys,
    ports,
    postgres,
    postgres_home,
    processes,
    servers,
    services,
    stack,
    state,
    valkey,
)
from deploy.local.errors import StackError
from deploy.local.servers import VARIABLES, local_servers
from deploy.local.tests.conftest import identities, plan_of
from shared.admin import AdminServer


def test_down_stops_services_before_servers_and_wipe_forgets_all_but_the_files_of_others(
    state_dir: Path,
) -> None:
    (state_dir / "notes").touch()
    stack.up(state_dir, plan=plan_of("capacity"))
    started = identities(state.load(state_dir))
    stack.down(state_dir)
    assert len(started) == 4
    assert not any(processes.is_alive(identity) for identity in started)
    log = state.log_file(state_dir, "supervisor").read_text()
    assert log.rindex("capacity: stopped") < log.rindex("kafka: stopped")
    stack.down(state_dir, wipe=True)
    assert {path.name for path in state_dir.iterdir()} == {"notes", "lock"}
    assert not postgres_home._public_home(state_dir).exists()


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(state_dir: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no seat for me')"]
    with pytest.raises(StackError) as caught:
        stack.up(state_dir, plan=plan_of("student", command=command))
    assert "student keeps ending at its start" in str(caught.value)
    assert str(state.log_file(state_dir, "student")) in str(caught.value)
    assert "no seat for me" in str(caught.value)
    assert not any(processes.is_alive(identity) for identity in identities(state.load(state_dir)))


def test_servers_that_the_environment_names_are_used_instead(
    state_dir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_servers(tmp_path_factory.mktemp("servers")) as others:
        monkeypatch.setenv(VARIABLES["kafka"], others.kafka_url)
        monkeypatch.setenv(VARIABLES["postgres"], others.postgres_url)
        monkeypatch.setenv(VARIABLES["redis"], others.redis_url)
        status = stack.up(state_dir, plan=plan_of("capacity"))
        assert {server.pid for server in status.servers.by_name().values()} == {None}
        assert status.servers.kafka.url == others.kafka_url
        assert status.servers.redis.url == others.redis_url
        assert postgres.answers(postgres.role_url(others.postgres_url, "capacity"))
        with pytest.raises(StackError, match="kafka is not ours to stop"):
            stack.restart(state_dir, "kafka")
        stack.down(state_dir)
        assert postgres.answers(others.postgres_url)


def test_servers_for_a_test_refuse_a_directory_in_use_and_forget_their_data(
    tmp_path: Path,
) -> None:
    with local_servers(tmp_path) as servers:
        with pytest.raises(StackError, match="already running"), local_servers(tmp_path):
            pass
        assert postgres.answers(servers.postgres_url)
        assert valkey.answers(servers.redis_url)
    assert not postgres.answers(servers.postgres_url)
    assert not (tmp_path / "kafka").exists()
    assert not valkey.answers(servers.redis_url)
    assert not (tmp_path / "redis").exists()


def test_down_without_a_stack_does_nothing(tmp_path: Path) -> None:
    stack.down(tmp_path / "none", wipe=True)
    assert not (tmp_path / "none").exists()
    assert not stack.status(tmp_path / "none").is_up


def test_instances_of_a_service_are_numbered_from_the_second() -> None:
    plans = services.plan_services(2)
    assert [plan.name for plan in plans[:3]] == ["enrollment", "enrollment-2", "student"]
    assert [plan.instance for plan in plans[:2]] == ["enrollment-1", "enrollment-2"]
    assert services.count(plans) == services.Count(instances=2, ingresses=0)


def test_ingresses_are_numbered_alike_and_share_one_database() -> None:
    plans = services.plan(services.Count(instances=1, ingresses=2))
    assert [plan.name for plan in plans[3:]] == ["ingress", "ingress-2"]
    assert [plan.instance for plan in plans[3:]] == ["ingress-1", "ingress-2"]
    assert {plan.service for plan in plans[3:]} == {"ingress"}
    assert services.count(plans) == services.Count(instances=1, ingresses=2)


def test_an_ingress_gets_a_port_for_clients_redis_a_key_and_the_addresses_of_all(
    tmp_path: Path,
) -> None:
    plans = services.plan(services.Count(instances=1, ingresses=1))
    port_of = {name: 20 + n for n, name in enumerate(services.port_names(plans))}
    urls = {"kafka": "k", "postgres": postgres.url_at(5), "redis": "redis://r"}
    peers = services.admin_urls(plans, port_of)
    spec = services.specify(plans[3], tmp_path, port_of, urls, peers)
    assert spec.command[1:] == ["-m", "services.enrollment.ingress"]
    assert spec.environment == {
        "DATABASE_URL": "postgresql://ingress@127.0.0.1:5/ingress",
        "KAFKA_BOOTSTRAP_SERVERS": "k",
        "ADMIN_PORT": str(port_of["ingress"]),
        "INSTANCE": "ingress-1",
        "HTTP_PORT": str(port_of["ingress-http"]),
        "REDIS_URL": "redis://r",
        "JWT_PUBLIC_KEY_FILE": str(keys.public_key_file(tmp_path)),
        "ADMIN_PEERS": ",".join(f"http://127.0.0.1:{port_of[plan.name]}" for plan in plans),
    }
    assert spec.http_url == f"http://127.0.0.1:{port_of['ingress-http']}"


def test_a_stack_that_is_up_already_keeps_the_number_of_everything(tmp_path: Path) -> None:
    running = services.plan(services.Count(instances=2, ingresses=1))
    state.save(tmp_path, state.State(plan=state.Plan(services=running)))
    for instances, ingresses in ((None, None), (2, None), (None, 1), (2, 1)):
        stack._refuse_other_count(tmp_path, instances, ingresses)
    with pytest.raises(StackError, match=r"2 of each service and 1 of the ingress: .*start 2 .* 0"):
        stack._refuse_other_count(tmp_path, None, 0)


def test_a_stack_that_is_started_again_after_a_crash_has_what_it_had_but_for_wishes(
    tmp_path: Path,
) -> None:
    running = services.plan(services.Count(instances=2, ingresses=0))
    state.save(tmp_path, state.State(plan=state.Plan(services=running)))
    assert stack._choose_plan(tmp_path, None, None).services == running
    wished = stack._choose_plan(tmp_path, None, 1)
    assert services.count(wished.services) == services.Count(instances=2, ingresses=1)


def test_a_process_on_a_detour_finds_the_servers_there_and_is_sent_back_by_kafka(
    tmp_path: Path,
) -> None:
    student = services.plan_services(2)[3]
    student.detour = state.Detour(kafka=11, postgres=12)
    detours = state.Plan(services=[student]).kafka_detours
    port_of = {name: 20 + n for n, name in enumerate(servers.port_names({}, detours))}
    port_of[student.name] = 30
    urls = {"kafka": "127.0.0.1:20", "postgres": postgres.url_at(23)}
    spec = services.specify(student, tmp_path, port_of, urls, [])
    settings = kafka._write_settings(tmp_path, tmp_path / "data", port_of, detours).read_text()
    assert spec.environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:11"
    assert spec.environment["DATABASE_URL"] == "postgresql://student@127.0.0.1:12/student"
    assert "listeners=PLAINTEXT://127.0.0.1:20,STUDENT_2://127.0.0.1:22,CONTROLLER" in settings
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:20,STUDENT_2://127.0.0.1:11\n" in settings


def test_an_ingress_on_a_detour_finds_redis_there_too(tmp_path: Path) -> None:
    [ingress] = services.plan_ingresses(1)
    ingress.detour = state.Detour(kafka=11, postgres=12, redis=13)
    port_of = {name: 20 + n for n, name in enumerate(services.port_names([ingress]))}
    urls = {"kafka": "k", "postgres": postgres.url_at(5), "redis": "redis://r"}
    spec = services.specify(ingress, tmp_path, port_of, urls, [])
    assert spec.environment["REDIS_URL"] == "redis://127.0.0.1:13/0"
    assert spec.environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:11"


def test_the_first_broker_to_end_leaves_its_classes_for_the_quick_start_of_the_next(
    tmp_path: Path,
) -> None:
    option, _, archive = kafka._class_archive(tmp_path).partition("=")
    Path(archive).touch()
    next_option, _, same_archive = kafka._class_archive(tmp_path).partition("=")
    assert (option, next_option) == ("-XX:ArchiveClassesAtExit", "-XX:SharedArchiveFile")
    assert archive == same_archive


def test_a_role_connects_with_the_password_of_the_administrator() -> None:
    url = postgres.role_url("postgresql://admin:secret@db:5432/postgres?sslmode=require", "student")
    assert url == "postgresql://student:secret@db:5432/student?sslmode=require"


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ({"database": False, "kafka": True, "group_joined": False}, "database, group_joined."),
        ({"database": True}, "It is ready now."),
    ],
)
async def test_a_late_service_says_what_it_waits_for(
    checks: dict[str, bool], sentence: str
) -> None:
    [port] = ports.keep_or_choose(["admin"], {}).values()
    admin = AdminServer(
        ports.LOOPBACK, port, checks=lambda: checks, details=dict, metrics=bytes, breakers={}
    )
    async with admin:
        said = await asyncio.to_thread(services.waits_for, f"http://127.0.0.1:{port}")

    assert said.endswith(sentence)


async def test_what_else_listens_where_a_service_should_is_named_as_such() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, ports.LOOPBACK, 0) as other:
        port = other.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(services.waits_for, f"http://127.0.0.1:{port}")

    assert said.startswith("Something else answers at http")


def test_a_service_where_nothing_answers_is_said_to_be_silent() -> None:
    assert services.waits_for("http://127.0.0.1:1").startswith("Nothing answers at http")
