import pytest

from deploy.local.state import ProcessState
from deploy.local.status import ServersStatus, ServerStatus, ServiceStatus, Status
from loadtests.day.playing import Progress
from services.cli.day_commands import _by_http, pids_of, show_progress
from services.cli.output import CliError


def test_a_server_that_is_given_by_url_has_no_process_to_measure() -> None:
    ready = ProcessState.READY
    status = Status(
        services={"student": ServiceStatus(pid=7, state=ready, admin_url="")},
        servers=ServersStatus(
            kafka=ServerStatus(state=ready, url="kafka:9092"),
            postgres=ServerStatus(pid=8, state=ready, url=""),
            redis=ServerStatus(pid=9, state=ready, url=""),
        ),
    )

    assert pids_of(status) == {"student": 7, "postgres": 8, "redis": 9}


def test_a_day_by_http_where_no_ingress_runs_says_what_to_do() -> None:
    service = ServiceStatus(pid=7, state=ProcessState.READY, admin_url="")

    with pytest.raises(CliError, match="`enroll up --ingresses 1`"):
        _by_http(Status(services={"student": service}, servers=ServersStatus()), 1)


def test_progress_is_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_progress(Progress(3.0, 2000, 987.4, 1200, 300, 500, None))
    show_progress(Progress(4.0, 2000, 400.0, 1500, 400, 100, 1234))

    said = capsys.readouterr()
    assert said.out == ""
    assert [" ".join(line.split()) for line in said.err.splitlines()] == [
        "3 s 987/s confirmed 1,200 rejected 300 in flight 500 lag ?",
        "4 s 400/s confirmed 1,500 rejected 400 in flight 100 lag 1,234",
    ]
