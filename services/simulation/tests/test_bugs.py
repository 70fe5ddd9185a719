"""The planted bugs: each fits the code, some die here, and a change that is none does not."""

import ast
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from services.simulation.bugs.__main__ import TABLE
from services.simulation.bugs.bug import Bug
from services.simulation.bugs.library import ALL, BUGS
from services.simulation.bugs.planting import ROOT, changed_source, plant, source_of
from services.simulation.bugs.running import kill, promise

QUICK = ("one_too_many", "enrolled_twice", "keyed_by_enrollment")
TEST = "services/capacity/tests/test_decisions.py"
RELEASED = '    """Give back what the enrollment holds, and remember that it has ended."""\n'
HARMLESS = Bug(
    "harmless", "Nothing.", "services.capacity.handlers", RELEASED, RELEASED.replace("Give", "Hand")
)
ROW = re.compile(r"\| (\w+) \| (.+) \| `([\w.]+)` \| (.+) \| \d+ s(?:<br>\d+ s)? \|")


def in_a_fresh_process(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("bug", ALL, ids=lambda bug: bug.name)
def test_every_bug_stands_once_in_the_code_and_leaves_it_in_form(bug: Bug) -> None:
    changed = changed_source(bug)

    assert changed != source_of(bug).read_text(encoding="utf-8")
    compile(changed, bug.module, "exec")


def test_every_bug_has_a_name_of_its_own_and_says_what_is_wrong() -> None:
    assert len(BUGS) == len(ALL)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in BUGS)
    assert all(re.fullmatch(r"[A-Z][^|]+\.", bug.wrong) for bug in ALL)


def test_a_bug_is_in_the_product_and_not_in_what_checks_it() -> None:
    assert not [b.name for b in ALL if b.module.startswith(("services.simulation", "loadtests"))]


def test_the_tests_that_kill_bugs_are_there() -> None:
    for bug in ALL:
        if bug.test is not None:
            path, _, name = bug.test.partition("::")
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert name in {getattr(node, "name", None) for node in ast.walk(tree)}, bug.name


def test_the_table_has_exactly_the_bugs_of_the_library() -> None:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [ROW.fullmatch(line) for line in lines if line.startswith("| ")][1:]

    assert [row and row.group(1, 2, 3) for row in rows] == [
        (b.name, b.wrong, b.module) for b in ALL
    ]
    assert [row and row[4] for row, b in zip(rows, ALL, strict=True) if b.test] == [
        f"`{bug.test}`" for bug in ALL if bug.test
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_killed_by_a_history(name: str) -> None:
    by_simulator, by_explorer = kill(BUGS[name])

    assert by_simulator.by.startswith("simulator: seed ")
    assert by_explorer.by.startswith("explorer: invariant ")


def test_a_planted_bug_is_killed_by_the_test_that_is_named() -> None:
    [death] = kill(BUGS["stranger_releases"])

    assert death.by == f"`{TEST}::test_the_end_of_another_students_enrollment_changes_nothing`"


@pytest.mark.parametrize(("check", "limit"), [("simulator", 20), ("explorer", 500)])
def test_a_change_that_is_none_survives(check: str, limit: int) -> None:
    found = in_a_fresh_process(
        "import json\n"
        "from services.simulation.bugs.trial import put_to_trial\n"
        "from services.simulation.tests.test_bugs import HARMLESS\n"
        f"print(json.dumps(put_to_trial(HARMLESS, '{check}', {limit})))"
    )

    assert (found["where"], found["violation"]) == (None, None)


def test_the_story_in_the_readme_is_the_one_that_is_told() -> None:
    command = [
        "-m",
        "services.simulation.bugs",
        "--story",
        "release_leaves_no_mark",
        "--invariant",
        "2",
    ]

    told = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert f"```\n{told.stdout}```\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_planted_bug_changes_no_file() -> None:
    bug = BUGS["one_too_many"]
    before = source_of(bug).read_bytes()

    there = in_a_fresh_process(
        "import json\n"
        "from services.simulation.bugs.library import BUGS\n"
        "from services.simulation.bugs.planting import plant\n"
        f"plant(BUGS['{bug.name}'])\n"
        "import services.capacity.decisions as planted\n"
        "code = planted._obstacle.__code__\n"
        "print(json.dumps('capacity' in code.co_names))"
    )
    after = in_a_fresh_process(
        "import json\n"
        "import services.capacity.decisions as clean\n"
        "code = clean._obstacle.__code__\n"
        "print(json.dumps('capacity' in code.co_names))"
    )

    assert (there, after) == (True, False)
    assert source_of(bug).read_bytes() == before


def test_a_bug_is_not_planted_in_a_module_that_was_imported_already() -> None:
    late = Bug("late", "Nothing.", "shared.events", "", "")

    assert late.module in sys.modules
    with pytest.raises(RuntimeError, match="imported before late was planted"):
        plant(late)


def test_a_bug_whose_text_is_not_there_is_an_error() -> None:
    stray = Bug("stray", "Nothing.", "shared.events", "no such text", "")

    with pytest.raises(ValueError, match="stands 0 times"):
        changed_source(stray)


@pytest.mark.parametrize(
    ("violation", "named"),
    [
        ("4: S3 holds a section twice", "invariant 4"),
        ("student-1 has crashed: KeyError()", "student-1 has crashed"),
    ],
)
def test_a_death_names_the_promise_that_is_broken(violation: str, named: str) -> None:
    assert promise(violation) == named
