"""Run the mutation tests and print, for each file, what was killed and what survived."""

# ruff: noqa: T201

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from services.simulation.mutation.equivalents import Verdict, judge, read_list
from services.simulation.mutation.mutants import (
    Mutant,
    MutationError,
    Survivor,
    copy_code,
    look_at,
    run,
)


def main() -> int:
    """Give 0 where every survivor is explained, 1 where one is not, 2 where nothing could run."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            copy_code(folder)
            print("testing mutants; this takes some minutes", file=sys.stderr, flush=True)
            mutants = run(folder)
            survivors = [look_at(folder, mutant) for mutant in mutants if not mutant.is_dead]
        except MutationError as error:
            print(error, file=sys.stderr)
            return 2
    verdict = judge(survivors, read_list())
    _print_files(mutants, verdict)
    _print_findings(verdict)
    return 1 if verdict.unexplained or verdict.stale else 0


def _print_files(mutants: Sequence[Mutant], verdict: Verdict) -> None:
    for path in sorted({mutant.path for mutant in mutants}):
        of_file = [mutant for mutant in mutants if mutant.path == path]
        alive = sum(not mutant.is_dead for mutant in of_file)
        wrong = sum(one.mutant.path == path for one in verdict.unexplained)
        print(
            f"{path}: {len(of_file)} mutants, {len(of_file) - alive} killed, "
            f"{alive - wrong} equivalent, {wrong} not explained"
        )


def _print_findings(verdict: Verdict) -> None:
    for one in verdict.unexplained:
        print(_show(one))
    for known in verdict.stale:
        print(f"\n{known.place}: listed as equivalent, and no survivor:\n{known.change}")


def _show(one: Survivor) -> str:
    return f"\n{one.mutant.path}:{one.line}: {one.mutant.status}, in {one.place}:\n{one.change}"


if __name__ == "__main__":
    sys.exit(main())
