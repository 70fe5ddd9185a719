"""Output that comes whole or not at all: to a file that it replaces, or to standard output."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any
from uuid import uuid4

from services.cli.output import CliError


class _Output(FileIO):
    """A file whose trouble is a CliError: a database's trouble is an OSError too."""

    def __init__(self, file: Path | int, mode: str, place: str) -> None:
        with _trouble_at(place):
            super().__init__(file, mode, closefd=isinstance(file, Path), opener=_open_private)
        self.place = place

    def write(self, data: Any) -> int:
        """Write bytes; also what the buffer above does on a flush."""
        with _trouble_at(self.place):
            return super().write(data)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # the rows are about students


@contextmanager
def _trouble_at(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{place} cannot be written ({error.strerror})"
        raise CliError(f"{why}: make room, or name another file") from None


def _text_of(output: _Output) -> TextIOWrapper:
    return TextIOWrapper(BufferedWriter(output), encoding="utf-8", newline="")


@contextmanager
def replaced_whole(path: Path) -> Iterator[IO[str]]:
    """Lend a file that takes its place under `path` only when the block has ended well.

    It keeps the mode of the file that it replaces; a new one is its owner's alone.
    """
    target = path.resolve()
    _require_place(target)
    part = target.with_name(f".{uuid4().hex}.part")
    output = _Output(part, "x", str(target))
    try:
        with _text_of(output) as file:
            yield file
            file.flush()
            with _trouble_at(str(target)):
                os.fsync(output.fileno())
        with _trouble_at(str(target)):
            _put(part, target)
    finally:
        part.unlink(missing_ok=True)


def _put(part: Path, target: Path) -> None:
    if target.exists():
        part.chmod(S_IMODE(target.stat().st_mode))
    part.replace(target)


def _require_place(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise CliError(f"{target} is no regular file: name one, or standard output")
    if not target.parent.is_dir():
        raise CliError(f"there is no folder {target.parent}: make it, then repeat")


@contextmanager
def printed_whole() -> Iterator[IO[str]]:
    """Lend a file whose text goes to standard output only when the block has ended well.

    So a reader that is slow, such as a pager, keeps nobody waiting.
    """
    place = f"the folder for temporary files ({gettempdir()})"
    with ExitStack() as stack:
        with _trouble_at(place):
            spool = stack.enter_context(TemporaryFile())
        with _text_of(_Output(spool.fileno(), "w", place)) as file:
            yield file
        spool.seek(0)
        with _trouble_at("standard output"):
            _print(spool)


def _print(source: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as `head` has
        _print_no_more()
    except OSError:
        _print_no_more()
        raise


def _print_no_more() -> None:
    """Keep the exit from printing what is still in the buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
