"""The list of rules names, for each, code and tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = Path(__file__).parent / "RULES.md"
RULES_MIN = 44
COLUMNS = 5
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def functions_of(path: str) -> frozenset[str]:
    file = ROOT / path
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def rows() -> list[list[str]]:
    """Give the cells of each row, without the heads of the tables."""
    lines = [line for line in RULES.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "rule"]


def test_every_rule_has_its_row() -> None:
    assert len(rows()) >= RULES_MIN
    assert {len(row) for row in rows()} == {COLUMNS}


def test_every_function_that_is_named_exists() -> None:
    named = NAMED.findall(RULES.read_text())

    assert [one for one in named if one[1] not in functions_of(one[0])] == []


def test_every_rule_names_its_place_and_a_test() -> None:
    for rule, _, place, _, tests in rows():
        assert NAMED.fullmatch(place), rule
        named = NAMED.findall(tests)
        assert named, rule
        assert all("/tests/" in path and name.startswith("test_") for path, name in named), rule
