"""Says which tools this project needs and the machine lacks, and how to get each.

Runs before the virtual environment exists, and on Pythons too old for the rest of the project:
standard library only, and no syntax younger than Python 3.5.
"""

import re
import shutil
import subprocess
import sys

OLDEST_PYTHON = (3, 11)
OLDEST_JAVA = 17
ANSWER_SECONDS = 30


def missing_tools() -> "list[str]":
    """One sentence for each tool that is missing or too old."""
    sentences = [about_python(sys.version_info[:2]), about_java(), about_maven()]
    return [sentence for sentence in sentences if sentence]


def about_python(version: "tuple[int, ...]") -> str:
    if version >= OLDEST_PYTHON:
        return ""
    found = ".".join(str(part) for part in version)
    return (
        "Python 3.11 or later is needed and this is " + found + ": install it "
        "(Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install "
        "python@3.11) and run make PYTHON=python3.11."
    )


def about_java() -> str:
    advice = (
        "install a JDK (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless; "
        "Fedora: dnf install java-17-openjdk-devel; macOS: brew install openjdk@17)."
    )
    if shutil.which("java") is None:
        return "Java 17 or later is needed to run Kafka and there is no java on the PATH: " + advice
    version = java_version(_output(["java", "-version"]))
    if version >= OLDEST_JAVA:
        return ""
    return "Java 17 or later is needed to run Kafka and java is " + str(version) + ": " + advice


def java_version(text: str) -> int:
    """The major version in what `java -version` prints ("1.8.0" is 8), 0 if there is none."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else 0


def about_maven() -> str:
    if shutil.which("mvn") is not None:
        return ""
    return (
        "Maven is needed to fetch Kafka and there is no mvn on the PATH: install it "
        "(Debian, Ubuntu: apt-get install maven; Fedora: dnf install maven; "
        "macOS: brew install maven)."
    )


def _output(command: "list[str]") -> str:
    ended = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=ANSWER_SECONDS,
        check=False,
    )
    return ended.stdout.decode("utf-8", "replace")


def main() -> int:
    sentences = missing_tools()
    for sentence in sentences:
        print(sentence)
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
