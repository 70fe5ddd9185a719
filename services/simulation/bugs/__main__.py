"""Kills planted bugs: `python -m services.simulation.bugs [NAME...]`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.library import BUGS
from services.simulation.bugs.running import LIMITS, Deaths, kill_all
from services.simulation.bugs.storytelling import tell

TABLE: Final = Path(__file__).with_name("TABLE.md")
HEAD: Final = f"""\
# Planted bugs

Written by `python -m services.simulation.bugs --write`: what kills each, of {LIMITS["simulator"]:,}
seeds of the simulator and the first {LIMITS["explorer"]:,} states of the explorer, or else a test;
and after how long: of computing, or of a test.

| bug | what is wrong | in | killed by | after |
|---|---|---|---|---|
"""


def main() -> int:
    """Print how each died; exit code 1 where one has survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all where none is")
    parser.add_argument("--write", action="store_true", help="renew TABLE.md")
    parser.add_argument("--story", metavar="NAME", help="shrink a history that shows it, and tell")
    parser.add_argument("--invariant", type=int, help="that the story is to break; else any")
    arguments = parser.parse_args()
    named = [*arguments.names, *([arguments.story] if arguments.story else [])]
    unknown = [name for name in named if name not in BUGS]
    if unknown:
        parser.error(f"no such bugs: {', '.join(unknown)}; there are {', '.join(BUGS)}")
    if arguments.write and arguments.names:
        parser.error("the table has all bugs: name none")
    if arguments.story:
        story = tell(BUGS[arguments.story], LIMITS["simulator"], arguments.invariant)
        sys.stdout.write(f"{story}\n")
        return 0
    return _kill([BUGS[name] for name in arguments.names] or list(BUGS.values()), arguments.write)


def _kill(bugs: Sequence[Bug], is_to_be_written: bool) -> int:
    deaths: dict[str, Deaths] = {}
    for bug, found in kill_all(bugs, len(os.sched_getaffinity(0))):
        deaths[bug.name] = found
        said = [f"{one.by} ({one.seconds:.1f} s): {one.seen}" for one in found] or ["SURVIVES"]
        sys.stdout.write(f"{bug.name}\n" + "".join(f"    {line}\n" for line in said))
        sys.stdout.flush()
    if is_to_be_written:
        TABLE.write_text(HEAD + "".join(_row(bug, deaths[bug.name]) for bug in bugs))
    survivors = [name for name, found in deaths.items() if not found]
    sys.stdout.write(f"{len(bugs)} planted bugs, {len(survivors)} survive\n")
    return 1 if survivors else 0


def _row(bug: Bug, deaths: Deaths) -> str:
    by = "<br>".join(death.by for death in deaths) or "nothing"
    after = "<br>".join(f"{death.seconds:.0f} s" for death in deaths)
    return f"| {bug.name} | {bug.wrong} | `{bug.module}` | {by} | {after} |\n"


if __name__ == "__main__":
    sys.exit(main())
