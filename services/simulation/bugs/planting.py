"""Plants a bug in this process: the module is changed as it is imported, its file is not."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from services.simulation.bugs.bug import Bug

ROOT = Path(__file__).parents[3]


def source_of(bug: Bug) -> Path:
    """Name the file that a bug changes."""
    return ROOT / f"{bug.module.replace('.', '/')}.py"


def changed_source(bug: Bug) -> str:
    """Give the source with the bug in it; raises ValueError unless its place is there, once."""
    source = source_of(bug).read_text(encoding="utf-8")
    if source.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its text stands {source.count(bug.old)} times, not once")
    return source.replace(bug.old, bug.new)


def plant(bug: Bug) -> None:
    """Have the module imported with the bug; raises where it has been imported already."""
    if bug.module in sys.modules:
        raise RuntimeError(f"{bug.module} was imported before {bug.name} was planted")
    sys.meta_path.insert(0, _Planter(bug))


class _Planter(MetaPathFinder):
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self,
        fullname: str,
        _path: Sequence[str] | None,
        _target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        path = str(source_of(self._bug))
        return spec_from_file_location(fullname, path, loader=_Loader(fullname, path, self._bug))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, bug: Bug) -> None:
        super().__init__(fullname, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:  # never from a cache of compiled files
        return compile(
            changed_source(self._bug), self.get_filename(fullname), "exec", dont_inherit=True
        )
