"""How mutants are named and compared with the list; `make mutants` runs them."""

import ast

import pytest

from services.simulation.mutation.equivalents import Equivalent, judge, read_list
from services.simulation.mutation.mutants import ROOT, Mutant, MutationError, read_change

SHOWN = """# services.student.decisions.x_release__mutmut_3: survived
--- services/student/decisions.py
+++ services/student/decisions.py
@@ -2,3 +2,3 @@
     known: Claim | None, event: EnrollmentRejected | EnrollmentCancelled, now: datetime
 ) -> Decision:
-    pass
+    return None
"""
MUTANT = Mutant("services.student.decisions.x_release__mutmut_3", "survived")
CHANGE = "-    pass\n+    return None"


def test_a_mutants_name_tells_its_file_and_its_function() -> None:
    method = Mutant("services.student.rules.xǁRequestǁheld_ids__mutmut_12", "killed")

    assert (str(MUTANT.path), MUTANT.function) == ("services/student/decisions.py", "release")
    assert (str(method.path), method.function) == ("services/student/rules.py", "Request.held_ids")
    assert (MUTANT.is_dead, method.is_dead) == (False, True)


def test_a_name_that_is_no_mutants_is_an_error() -> None:
    with pytest.raises(MutationError, match="no mutant has such a name: release"):
        _ = Mutant("release", "killed").path


def test_a_survivor_is_shown_with_its_line_in_the_file() -> None:
    survivor = read_change(MUTANT, SHOWN)

    lines = (ROOT / MUTANT.path).read_text().splitlines()
    assert lines[survivor.line - 2] == ") -> Decision:"
    assert lines[survivor.line - 4] == "def release("
    assert survivor.change == CHANGE


def test_a_survivor_must_be_listed_and_what_is_listed_must_survive() -> None:
    survivor = read_change(MUTANT, SHOWN)
    known = Equivalent("services.student.decisions.release", CHANGE)
    other = Equivalent("services.student.decisions.claim", CHANGE)

    assert judge([survivor], {known}) == judge([], set())
    assert judge([survivor], set()).unexplained == (survivor,)
    assert judge([survivor], {known, other}).stale == (other,)


def test_every_entry_of_the_list_is_about_code_that_is_there() -> None:
    for entry in read_list():
        module, _, function = entry.place.rpartition(".")
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
        functions = {
            node.name: ast.get_source_segment(source, node) or ""
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef)
        }
        gone = [line[1:] for line in entry.change.splitlines() if line.startswith("-")]
        assert "\n".join(gone) in functions[function]
