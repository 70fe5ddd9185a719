"""What is missing on the machine is said in a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import check_tools


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("nothing of the kind", 0),
    ],
)
def test_the_java_version_is_read_from_what_java_prints(text: str, version: int) -> None:
    assert check_tools.java_version(text) == version


def test_an_old_python_is_told_what_to_install() -> None:
    assert "this is 3.9" in check_tools.about_python((3, 9))
    assert check_tools.about_python((3, 11)) == ""


def test_each_missing_tool_has_a_sentence_with_how_to_get_it(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, check_tools.__file__],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    java, maven = ended.stdout.splitlines()
    assert "there is no java on the PATH: install" in java
    assert "there is no mvn on the PATH: install" in maven


def test_this_machine_has_what_is_needed() -> None:
    assert check_tools.missing_tools() == []
