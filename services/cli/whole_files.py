"""Output that comes whole or not at all: to a file that it replaces, or to standard output."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from uuid import uuid4

from services.cli.output import CliError


@contextmanager
def replaced_whole(path: Path) -> Iterator[IO[str]]:
    """Lend a file that takes its place under `path` only when the block has ended well."""
    target = path.resolve()
    _require_place(target)
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _require_place(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise CliError(f"{target} is no regular file: name one with --output, or leave it out")
    if not target.parent.is_dir():
        raise CliError(f"there is no folder {target.parent}: make it, then repeat")


@contextmanager
def printed_whole() -> Iterator[IO[str]]:
    """Lend a file whose text goes to standard output only when the block has ended well.

    So a reader that is slow, such as a pager, keeps nobody waiting.
    """
    with TemporaryFile() as spool:
        file = TextIOWrapper(spool, encoding="utf-8", newline="")
        yield file
        file.detach()  # flushes
        spool.seek(0)
        _print(spool)


def _print(source: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as `head` has; nor does the exit print more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
