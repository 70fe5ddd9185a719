"""Children that die when they should, and nobody else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.local import processes, supervised
from deploy.local.errors import StackError
from deploy.local.processes import Child, ProcessSpec
from deploy.local.supervised import Supervised, pause_seconds
from deploy.local.tests.conftest import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
PARENT = """
import sys, time
from pathlib import Path
from deploy.local.processes import Child, ProcessSpec
child = Child(ProcessSpec("child", ["sleep", "60"], Path(sys.argv[1]), "", lambda: True))
print(child.identity.pid, flush=True)
time.sleep(60)
"""


def spec_of(tmp_path: Path, command: list[str], stop_seconds: float = 5.0) -> ProcessSpec:
    log = tmp_path / "log"
    return ProcessSpec("child", command, log, "", lambda: True, stop_seconds=stop_seconds)


def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = processes.identify(int(parent.stdout.readline()))
        parent.kill()
    wait_until(lambda: not processes.is_alive(child))


def test_a_child_that_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    child = Child(spec_of(tmp_path, [sys.executable, "-c", DEAF], stop_seconds=0.5))
    time.sleep(0.3)
    processes.stop([child])
    assert child.exit_code == -signal.SIGKILL


def test_what_a_dead_child_started_dies_with_it(tmp_path: Path) -> None:
    child = Child(spec_of(tmp_path, ["sh", "-c", "sleep 60 & echo $!"]))
    wait_until(child.has_exited)
    grandchild = int((tmp_path / "log").read_text())
    wait_until(lambda: not psutil.pid_exists(grandchild) or _is_zombie(grandchild))


def _is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_pid_that_now_belongs_to_another_process_is_not_signalled(tmp_path: Path) -> None:
    child = Child(spec_of(tmp_path, SLEEP))
    stranger = child.identity.model_copy(update={"created": child.identity.created - 100})
    processes.stop_stranger(stranger, signal.SIGKILL, 0.1)
    assert not child.has_exited()
    processes.stop([child])


def test_pauses_grow_from_none_to_ten_seconds() -> None:
    assert [pause_seconds(deaths) for deaths in range(5)] == [0.0, 0.0, 0.1, 0.2, 0.4]
    assert pause_seconds(1000) == 10.0


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    process = Supervised(spec_of(tmp_path, SLEEP), is_held=lambda: False)
    process.tick()
    assert process.child is not None
    first = process.child.identity
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_alive(first))
    process.tick()
    assert process.child.identity != first
    processes.stop([process.child])


def test_a_process_that_keeps_dying_is_given_up_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "FIRST_PAUSE_SECONDS", 0.0)
    process = Supervised(spec_of(tmp_path, ["sh", "-c", "echo why; exit 1"]), lambda: False)

    def is_hopeless() -> bool:
        process.tick()
        return process.young_deaths == supervised.HOPELESS_DEATHS

    wait_until(is_hopeless)
    with pytest.raises(StackError, match=r"keeps ending[^$]*why"):
        process.raise_if_hopeless()
    processes.stop([process.child] if process.child else [])


def test_a_command_that_fails_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"child ended with code 3\.[^$]*because"):
        processes.run_to_end(spec_of(tmp_path, ["sh", "-c", "echo because; exit 3"]), 10)
