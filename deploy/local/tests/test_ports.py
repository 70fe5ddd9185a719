"""Ports that stay the same as long as they can."""

import socket
import subprocess
import sys

from deploy.local import ports


def test_a_remembered_port_is_kept_and_a_new_name_gets_its_own() -> None:
    first = ports.keep_or_choose(["kafka"], {})
    second = ports.keep_or_choose(["kafka", "postgres"], first)
    assert second["kafka"] == first["kafka"] != second["postgres"]


def test_a_remembered_port_that_another_has_taken_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind((ports.LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ports.accepts(port)
        assert ports.keep_or_choose(["kafka"], {"kafka": port})["kafka"] != port


def test_chosen_ports_are_none_that_the_kernel_gives_to_clients() -> None:
    chosen = ports.keep_or_choose(["kafka", "postgres", "capacity"], {})
    assert max(chosen.values()) < ports._first_outgoing_port()


def test_a_port_that_another_process_has_chosen_is_not_chosen_before_it_listens() -> None:
    command = "from deploy.local import ports; print(ports.keep_or_choose(['a'], {})['a']); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())

        meanwhile = ports.keep_or_choose(["kafka"], {"kafka": port})["kafka"]
        other.communicate("over\n")
        afterwards = ports.keep_or_choose(["kafka"], {"kafka": port})["kafka"]

    assert meanwhile != port
    assert afterwards == port


def test_a_port_that_was_handed_over_is_chosen_by_the_process_that_remembers_it() -> None:
    port = ports.keep_or_choose(["a"], {})["a"]
    command = f"from deploy.local import ports; print(ports.keep_or_choose(['a'], {{'a': {port}}}))"

    ports.hand_over([port])
    chosen = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)

    assert chosen.stdout.decode().strip() == f"{{'a': {port}}}"
