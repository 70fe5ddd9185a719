"""Kills planted bugs: `python -m services.simulation.bugs [NAME...]`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.library import BUGS
from services.simulation.bugs.running import SEEDS_MAX, Death, kill_all
from services.simulation.bugs.trial import tell

TABLE: Final = Path(__file__).with_name("TABLE.md")
HEAD: Final = """\
# Planted bugs

Written by `python -m services.simulation.bugs --write`.

| bug | what is wrong | in | killed by | after |
|---|---|---|---|---|
"""


def main() -> int:
    """Print how each died; exit code 1 where one has survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all where none is")
    parser.add_argument("--write", action="store_true", help="renew TABLE.md")
    parser.add_argument("--story", metavar="NAME", help="shrink a history that shows it, and tell")
    arguments = parser.parse_args()
    named = [*arguments.names, *([arguments.story] if arguments.story else [])]
    unknown = [name for name in named if name not in BUGS]
    if unknown:
        parser.error(f"no such bugs: {', '.join(unknown)}; there are {', '.join(BUGS)}")
    if arguments.write and arguments.names:
        parser.error("the table has all bugs: name none")
    if arguments.story:
        sys.stdout.write(f"{tell(BUGS[arguments.story], SEEDS_MAX)}\n")
        return 0
    bugs = [BUGS[name] for name in arguments.names] or list(BUGS.values())
    deaths = _kill(bugs)
    if arguments.write:
        TABLE.write_text(HEAD + "".join(map(_row, deaths)))
    sys.stdout.write(f"{len(bugs)} planted bugs, {len(bugs) - len(deaths)} survive\n")
    return 0 if len(deaths) == len(bugs) else 1


def _kill(bugs: Sequence[Bug]) -> list[Death]:
    """Give the deaths in the order of the library, and print each as it comes."""
    deaths = {}
    for end in kill_all(bugs, len(os.sched_getaffinity(0))):
        if isinstance(end, Death):
            deaths[end.bug.name] = end
            sys.stdout.write(f"{end.bug.name}: {end.by} ({end.seconds:.1f} s): {end.seen}\n")
        else:
            sys.stdout.write(f"{end.bug.name}: SURVIVES\n")
        sys.stdout.flush()
    return [deaths[bug.name] for bug in bugs if bug.name in deaths]


def _row(death: Death) -> str:
    bug = death.bug
    return f"| {bug.name} | {bug.wrong} | `{bug.module}` | {death.by} | {death.seconds:.0f} s |\n"


if __name__ == "__main__":
    sys.exit(main())
