"""Make mutants with mutmut in a copy of the code, test each, and read what came of them."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DEAD: Final = {"killed", "timeout"}
NAME: Final = re.compile(r"(?P<module>.+)\.x[_ǁ](?P<function>.+)__mutmut_\d+")
HUNK: Final = re.compile(r"^@@ -(\d+)", re.MULTILINE)


class MutationError(Exception):
    """There is no result; the text says why."""


@dataclass(frozen=True)
class Mutant:
    """A mutant by the name that mutmut gives it."""

    name: str
    status: str

    @property
    def is_dead(self) -> bool:
        """Tell whether a test failed for it."""
        return self.status in DEAD

    @property
    def module(self) -> str:
        """Name its module."""
        return self._part("module")

    @property
    def function(self) -> str:
        """Name its function, within its class if it has one."""
        return self._part("function").replace("ǁ", ".")

    @property
    def path(self) -> Path:
        """Name its file, from the root of the repository."""
        return Path(*self.module.split(".")).with_suffix(".py")

    def _part(self, part: str) -> str:
        found = NAME.fullmatch(self.name)
        if found is None:
            raise MutationError(f"no mutant has such a name: {self.name}")
        return found[part]


@dataclass(frozen=True)
class Survivor:
    """A change that no test objects to: lines with - and + before them."""

    mutant: Mutant
    line: int
    change: str

    @property
    def place(self) -> str:
        """Name the function with its module."""
        return f"{self.mutant.module}.{self.mutant.function}"


def copy_code(folder: Path) -> None:
    """Copy what mutmut needs; what it writes never touches the checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in ("pyproject.toml", *project["tool"]["mutmut"]["also_copy"]):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)


def run(folder: Path) -> list[Mutant]:
    """Run the tests on every mutant of the code in a folder; takes minutes."""
    if find_spec("mutmut") is None:
        raise MutationError("mutmut is not installed: run `make mutants`")
    with (folder / "log").open("w") as log:
        done = subprocess.run(_mutmut("run"), cwd=folder, stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        end = (folder / "log").read_text()[-2000:]
        raise MutationError(f"mutmut ended with {done.returncode}, and said at last:\n{end}")
    lines = _ask(folder, "results", "--all", "true").splitlines()
    return [Mutant(name, status) for name, _, status in map(_split, lines) if name]


def _split(line: str) -> tuple[str, str, str]:
    return line.strip().partition(": ")


def look_at(folder: Path, mutant: Mutant) -> Survivor:
    """Ask mutmut what it changed."""
    return read_change(mutant, _ask(folder, "show", mutant.name))


def read_change(mutant: Mutant, shown: str) -> Survivor:
    """Read a diff of a function, whose lines count from the function's first."""
    _, numbers, hunk = HUNK.split(shown, maxsplit=1)
    lines = hunk.splitlines()[1:]
    changed = [line for line in lines if line.startswith(("-", "+"))]
    line = _line_of(ROOT / mutant.path, mutant.function) + int(numbers) - 1
    return Survivor(mutant, line + lines.index(changed[0]), "\n".join(changed))


def _line_of(path: Path, function: str) -> int:
    tree: ast.AST = ast.parse(path.read_text())
    for name in function.split("."):
        tree = next(node for node in _definitions(tree) if node.name == name)
    return getattr(tree, "lineno", 1)


def _definitions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    return (n for n in ast.iter_child_nodes(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef))


def _ask(folder: Path, *arguments: str) -> str:
    asked = subprocess.run(
        _mutmut(*arguments), cwd=folder, capture_output=True, text=True, check=True
    )
    return asked.stdout


def _mutmut(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "mutmut", *arguments)
