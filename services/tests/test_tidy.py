"""The style of this repository as tests: each finding names a place and what to do there."""

import ast
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("enrollment", "student", "capacity")
ONE_OF_A_KIND = {"rules.py"}  # the registration rules, of which only student has any

FUNCTION_LINES = 70
PRODUCT_FILE_LINES = 400
TEST_FILE_LINES = 600

PURE_MODULES = {"decisions.py", "handlers.py", "model.py", "rules.py"}
CLOCKS_AND_CHANCE = {
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "date.today",
    "time.time",
}
NEW_IDENTITIES = {"uuid1", "uuid4", "uuid6", "uuid7"}
CONNECTING_CALLS = {
    "create_engine",
    "create_async_engine",
    "Producer",
    "AIOProducer",
    "Consumer",
    "AIOConsumer",
    "App",
}
CATCH_ALLS = {"Exception", "BaseException"}


@dataclass(frozen=True)
class Source:
    path: PurePosixPath  # from the root of the repository
    text: str

    @property
    def tree(self) -> ast.Module:
        return parsed(self.text, str(self.path))

    @property
    def is_test(self) -> bool:
        return is_test_module(self.path.with_suffix("").parts)

    def finding(self, line: int, advice: str) -> str:
        return f"{self.path}:{line}: {advice}"


Checker = Callable[[Source], Iterator[str]]


@cache
def parsed(text: str, filename: str) -> ast.Module:
    return ast.parse(text, filename)


def is_test_module(parts: tuple[str, ...]) -> bool:
    return "tests" in parts[:-1] or parts[-1:] == ("tests",) or parts[-1] == "conftest"


def listed_by_git() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listing.stdout.split("\0") if name]


def listed_by_walking() -> list[str]:
    names: list[str] = []
    generated = {"__pycache__", "build"}
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [name for name in subfolders if name[0] != "." and name not in generated]
        names.extend((Path(folder) / name).relative_to(ROOT).as_posix() for name in files)
    return names


@cache
def repository_files() -> tuple[PurePosixPath, ...]:
    try:
        names = listed_by_git()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive has no history
        names = listed_by_walking()
    return tuple(PurePosixPath(name) for name in sorted(names) if (ROOT / name).is_file())


@cache
def sources() -> tuple[Source, ...]:
    return tuple(
        Source(path, (ROOT / path).read_text(encoding="utf-8"))
        for path in repository_files()
        if path.suffix == ".py" and "migrations" not in path.parts
    )


# The checkers: each yields its findings in one file.


def long_functions(source: Source) -> Iterator[str]:
    if source.is_test:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                advice = f"{node.name} has {lines} lines: split it below {FUNCTION_LINES + 1}"
                yield source.finding(node.lineno, advice)


def long_files(source: Source) -> Iterator[str]:
    limit = TEST_FILE_LINES if source.is_test else PRODUCT_FILE_LINES
    lines = len(source.text.splitlines())
    if lines > limit:
        yield source.finding(limit + 1, f"{lines} lines: split the file below {limit + 1}")


def missing_purposes(source: Source) -> Iterator[str]:
    is_empty_package = source.path.name == "__init__.py" and not source.text.strip()
    if source.is_test or is_empty_package:
        return
    docstring = ast.get_docstring(source.tree) or ""
    purpose = " ".join(docstring.split("\n\n")[0].split())
    if not purpose:
        yield source.finding(1, "say what the module is for in a docstring")
    elif not purpose.endswith((".", "?", "!")) or re.search(r"[.?!]\s+[A-Z]", purpose):
        yield source.finding(1, "make the docstring's first paragraph one sentence")


def swallowed_errors(source: Source) -> Iterator[str]:
    advice = "name the error you expect, or log this one"
    for node in ast.walk(source.tree):
        match node:
            case ast.ExceptHandler() if catches_all(node.type) and does_nothing(node.body):
                yield source.finding(node.lineno, advice)
            case ast.Call(args=args) if dotted(node.func).endswith("suppress"):
                if any(catches_all(arg) for arg in args):
                    yield source.finding(node.lineno, advice)
            case _:
                pass


def catches_all(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(catches_all(one) for one in caught.elts)
    return caught is None or dotted(caught).removeprefix("builtins.") in CATCH_ALLS


def does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass | ast.Continue)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def postponed_work(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if re.search(r"\b(TOD[O]|FIXM[E]|XX[X])\b", line):
            yield source.finding(number, "do it now, or leave it out")


def impure_decisions(source: Source) -> Iterator[str]:
    if source.path.name not in PURE_MODULES:
        return
    for node in ast.walk(source.tree):
        for name in names_used(node):
            if is_clock_or_chance(name):
                advice = f"take what {name} gives as a parameter, so that a replay decides the same"
                yield source.finding(getattr(node, "lineno", 1), advice)


def names_used(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.Attribute():
            return [dotted(node)]
        case _:
            return []


def is_clock_or_chance(name: str) -> bool:
    parts = name.split(".")
    return (
        parts[0] in {"random", "secrets"}
        or parts[-1] in NEW_IDENTITIES
        or ".".join(parts[-2:]) in CLOCKS_AND_CHANCE
    )


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression of names and dots, and as much of its end as is one."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{dotted(value)}.{attribute}".removeprefix(".")
        case _:
            return ""


def committing_stores(source: Source) -> Iterator[str]:
    if source.path.name != "store.py":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr == "commit":
            yield source.finding(node.lineno, "leave the commit to the caller's transaction")


def imports_of_tests(source: Source) -> Iterator[str]:
    if source.is_test:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if any(is_test_module(("", *name.split("."))) for name in names_used(node)):
            yield source.finding(node.lineno, "move what product code needs out of the tests")


def connections_at_import(source: Source) -> Iterator[str]:
    if source.is_test:
        return
    for node in run_at_import(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in CONNECTING_CALLS:
            yield source.finding(node.lineno, "make it in a function, so that importing is free")


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from run_at_import(child)


def uneven_folders(names: dict[str, set[str]]) -> Iterator[str]:
    everywhere = set().union(*names.values()) - ONE_OF_A_KIND
    for folder, present in names.items():
        for name in sorted(everywhere - present):
            yield f"services/{folder}/{name}:1: add it, or drop it from the other services"


def check(checker: Checker) -> None:
    findings = [finding for source in sources() for finding in checker(source)]
    assert not findings, "\n" + "\n".join(findings)


def test_there_is_something_to_check() -> None:
    paths = {source.path for source in sources()}
    assert PurePosixPath("shared/breaker.py") in paths


def test_walking_finds_what_git_lists() -> None:
    walked = {name for name in listed_by_walking() if name.endswith(".py")}
    assert {str(source.path) for source in sources()} <= walked


def test_functions_are_short() -> None:
    check(long_functions)


def test_files_are_short() -> None:
    check(long_files)


def test_every_module_says_in_one_sentence_what_it_is_for() -> None:
    check(missing_purposes)


def test_no_error_is_swallowed() -> None:
    check(swallowed_errors)


def test_no_work_is_postponed_in_a_comment() -> None:
    check(postponed_work)


def test_decisions_take_time_identity_and_chance_as_parameters() -> None:
    check(impure_decisions)


def test_stores_leave_the_commit_to_their_caller() -> None:
    check(committing_stores)


def test_product_code_imports_nothing_from_tests() -> None:
    check(imports_of_tests)


def test_nothing_connects_at_import() -> None:
    check(connections_at_import)


def test_the_services_have_the_same_files() -> None:
    names: dict[str, set[str]] = {service: set() for service in SERVICES}
    for path in repository_files():
        match path.parts:
            case ("services", folder, name) if folder in names:
                names[folder].add(name)
            case _:
                pass
    if not any(names.values()):
        pytest.skip("there are no services yet")
    findings = list(uneven_folders(names))
    assert not findings, "\n" + "\n".join(findings)


LONG_FUNCTION = "def long():\n" + "    x = 1\n" * FUNCTION_LINES
SWALLOW = "try:\n    x = 1\nexcept {}:\n    pass\n"

BAD: list[tuple[Checker, str, str]] = [
    (long_functions, "shared/a.py", LONG_FUNCTION),
    (long_functions, "shared/a.py", "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ")),
    (long_files, "shared/a.py", "x = 1\n" * (PRODUCT_FILE_LINES + 1)),
    (long_files, "shared/tests/test_a.py", "x = 1\n" * (TEST_FILE_LINES + 1)),
    (missing_purposes, "shared/a.py", "x = 1\n"),
    (missing_purposes, "shared/a.py", ""),
    (missing_purposes, "shared/__init__.py", "x = 1\n"),
    (missing_purposes, "shared/a.py", '"""Says one thing. Says another."""\n'),
    (missing_purposes, "shared/a.py", '"""Not a sentence"""\n'),
    (swallowed_errors, "shared/a.py", SWALLOW.replace(" {}", "")),
    (swallowed_errors, "shared/a.py", SWALLOW.format("Exception")),
    (swallowed_errors, "shared/a.py", SWALLOW.format("(ValueError, BaseException) as error")),
    (swallowed_errors, "shared/tests/a.py", SWALLOW.format("Exception").replace("pass", "...")),
    (swallowed_errors, "shared/a.py", "with contextlib.suppress(Exception):\n    x = 1\n"),
    (postponed_work, "shared/a.py", "x = 1  # TO" + "DO later\n"),
    (postponed_work, "shared/tests/a.py", '"""FIX' + 'ME: this."""\n'),
    (impure_decisions, "services/student/decisions.py", "def f():\n    return datetime.now(UTC)\n"),
    (impure_decisions, "services/student/model.py", "x = datetime.datetime.utcnow()\n"),
    (impure_decisions, "services/student/handlers.py", "x = time.time()\n"),
    (impure_decisions, "services/student/handlers.py", "from time import time\n"),
    (impure_decisions, "services/student/handlers.py", "from uuid import UUID, uuid4\n"),
    (impure_decisions, "services/student/handlers.py", "from shared.identifiers import uuid7\n"),
    (impure_decisions, "services/student/model.py", "x = field(default_factory=uuid.uuid4)\n"),
    (impure_decisions, "services/student/decisions.py", "x = random.random()\n"),
    (committing_stores, "services/student/store.py", "async def f(s):\n    await s.commit()\n"),
    (imports_of_tests, "services/student/wiring.py", "from shared.tests.fakes import Clock\n"),
    (imports_of_tests, "services/student/wiring.py", "from services.student import tests\n"),
    (imports_of_tests, "services/student/wiring.py", "def f():\n    import shared.tests\n"),
    (imports_of_tests, "services/student/wiring.py", "from . import tests\n"),
    (imports_of_tests, "services/student/wiring.py", "from .tests import fakes\n"),
    (connections_at_import, "shared/a.py", "engine = create_async_engine(url)\n"),
    (connections_at_import, "shared/a.py", "if x:\n    app: App = faust.App('a')\n"),
    (connections_at_import, "shared/a.py", "class A:\n    producer = Producer({})\n"),
    (connections_at_import, "shared/a.py", "consumers = [Consumer({}) for _ in range(2)]\n"),
]

GOOD: list[tuple[Checker, str, str]] = [
    (long_functions, "shared/a.py", "def short():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)),
    (long_files, "shared/a.py", "x = 1\n" * PRODUCT_FILE_LINES),
    (missing_purposes, "shared/__init__.py", ""),
    (missing_purposes, "shared/tests/test_a.py", "x = 1\n"),
    (missing_purposes, "shared/a.py", '"""Says, over\ntwo lines, one thing.\n\nThen. More."""\n'),
    (swallowed_errors, "shared/a.py", SWALLOW.format("ValueError")),
    (swallowed_errors, "shared/a.py", SWALLOW.format("Exception").replace("pass", "raise")),
    (postponed_work, "shared/a.py", "TODOS = 1\n"),
    (impure_decisions, "services/student/decisions.py", "def f(now, random):\n    random()\n"),
    (impure_decisions, "services/student/wiring.py", "x = uuid.uuid4()\n"),
    (committing_stores, "services/student/wiring.py", "session.commit()\n"),
    (imports_of_tests, "shared/tests/test_a.py", "from shared.tests.fakes import Clock\n"),
    (imports_of_tests, "services/cli/main.py", "import loadtests.main\n"),
    (connections_at_import, "shared/a.py", "def f():\n    return Producer({})\n"),
]


@pytest.mark.parametrize(("checker", "path", "text"), BAD)
def test_each_checker_finds_a_planted_fault(checker: Checker, path: str, text: str) -> None:
    findings = list(checker(Source(PurePosixPath(path), text)))
    assert findings
    assert re.match(rf"{re.escape(path)}:\d+: \w+", findings[0])


@pytest.mark.parametrize(("checker", "path", "text"), GOOD)
def test_no_checker_objects_to_what_is_right(checker: Checker, path: str, text: str) -> None:
    assert not list(checker(Source(PurePosixPath(path), text)))


def test_uneven_folders_are_found_and_even_ones_are_not() -> None:
    uneven = {"student": {"model.py", "store.py"}, "capacity": {"model.py"}}
    even = {"student": {"model.py"}, "capacity": {"model.py"}}
    assert list(uneven_folders(uneven)) == [
        "services/capacity/store.py:1: add it, or drop it from the other services"
    ]
    assert not list(uneven_folders(even))
