import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.output import CliError
from services.cli.whole_files import printed_whole, replaced_whole


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    with replaced_whole(tmp_path / "rows.csv") as file:
        (part,) = tmp_path.iterdir()
        assert mode_of(part) == 0o600
        file.write("rows")

    assert mode_of(tmp_path / "rows.csv") == 0o600
    assert (tmp_path / "rows.csv").read_text() == "rows"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "rows.csv"
    path.touch()
    path.chmod(mode)

    with replaced_whole(path) as file:
        file.write("rows")

    assert (mode_of(path), path.read_text()) == (mode, "rows")


def test_a_folder_that_takes_no_file_is_named() -> None:
    with (
        pytest.raises(CliError, match=r"^/proc/rows\.csv cannot be written .*: make room, or name"),
        replaced_whole(Path("/proc/rows.csv")),
    ):
        raise AssertionError("no file was made")


@pytest.mark.parametrize("size_bytes", [10, 100_000])  # noticed by the flush at the end, by a write
def test_a_file_that_cannot_grow_is_named_and_leaves_nothing(
    tmp_path: Path, size_bytes: int
) -> None:
    path = tmp_path / "rows.csv"

    with (
        pytest.raises(CliError, match=rf"^{path} cannot be written \(File too large\)"),
        files_of_at_most(5),
        replaced_whole(path) as file,
    ):
        file.write("x" * size_bytes)

    assert list(tmp_path.iterdir()) == []


def test_trouble_that_is_not_the_files_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError), replaced_whole(tmp_path / "rows.csv"):
        raise ConnectionRefusedError

    assert list(tmp_path.iterdir()) == []


def test_a_full_standard_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with (
            pytest.raises(CliError, match=rf"^standard output .*\({os.strerror(28)}\)"),
            printed_whole() as file,
        ):
            file.write("rows")
