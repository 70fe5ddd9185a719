"""JMeter's home: built when it must be, whole, and explained where it cannot be."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from deploy.local.errors import StackError
from loadtests.jmeter.home import (
    BUILD_SECONDS_MAX,
    LAUNCHER_JAR,
    SAMPLER_JAR,
    built_from,
    home,
    is_fresh,
)

pytestmark = pytest.mark.timeout(BUILD_SECONDS_MAX + 60)

SERVICES = "META-INF/services/org.apache.jmeter.protocol.java.sampler.JavaSamplerClient"
HOUR_SECONDS = 3600


def project(folder: Path, pom: str = "<project/>") -> Path:
    """Make something that looks like our project as it is once built."""
    built = folder / "target" / "jmeter"
    for path in (built / SAMPLER_JAR, built / LAUNCHER_JAR, folder / "src" / "A.java"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "pom.xml").write_text(pom)
    age_by_an_hour(folder / "pom.xml")
    age_by_an_hour(folder / "src" / "A.java")
    return folder


def age_by_an_hour(path: Path) -> None:
    then = path.stat().st_mtime - HOUR_SECONDS
    os.utime(path, (then, then))


def test_what_is_built_after_its_sources_is_not_built_again(tmp_path: Path) -> None:
    before = project(tmp_path, pom="no XML: Maven would fail")

    assert built_from(before) == before / "target" / "jmeter"


@pytest.mark.parametrize("changed", ["pom.xml", "src/A.java", "src/New.java"])
def test_a_newer_source_makes_it_stale(tmp_path: Path, changed: str) -> None:
    built = project(tmp_path) / "target" / "jmeter"
    age_by_an_hour(built / SAMPLER_JAR)

    (tmp_path / changed).touch()

    assert not is_fresh(tmp_path, built)


def test_half_a_home_is_stale(tmp_path: Path) -> None:
    built = project(tmp_path) / "target" / "jmeter"

    (built / LAUNCHER_JAR).unlink()

    assert not is_fresh(tmp_path, built)


def test_a_build_that_fails_shows_the_end_of_mavens_output(tmp_path: Path) -> None:
    stale = project(tmp_path, pom="no XML")
    (stale / "target" / "jmeter" / SAMPLER_JAR).unlink()

    with pytest.raises(StackError, match=r"(?s)ended with code 1\..*Non-parseable POM"):
        built_from(stale)


def test_a_missing_maven_is_told_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = project(tmp_path)
    (stale / "target" / "jmeter" / SAMPLER_JAR).unlink()
    java, tools = shutil.which("java"), tmp_path / "tools"
    assert java
    tools.mkdir()
    (tools / "java").symlink_to(java)
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(StackError, match="apt-get install maven"):
        built_from(stale)


def test_a_missing_java_is_told_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StackError, match="apt-get install openjdk"):
        built_from(project(tmp_path))


def names_in(jar: Path) -> set[str]:
    with zipfile.ZipFile(jar) as opened:
        return set(opened.namelist())


@pytest.mark.long
def test_the_one_jar_brings_every_sampler_and_kafkas_client() -> None:
    jar = home() / SAMPLER_JAR
    with zipfile.ZipFile(jar) as opened:
        samplers = opened.read(SERVICES).decode().split()

    classes = names_in(jar)

    assert len(samplers) == 5
    assert {f"{name.replace('.', '/')}.class" for name in samplers} <= classes
    assert "org/apache/kafka/clients/producer/KafkaProducer.class" in classes


@pytest.mark.long
def test_the_one_jar_brings_no_class_that_jmeter_has() -> None:
    jmeter = home()
    others = [jar for jar in (jmeter / "lib").rglob("*.jar") if jar != jmeter / SAMPLER_JAR]
    theirs = set[str]().union(*(names_in(jar) for jar in others))

    ours = {name for name in names_in(jmeter / SAMPLER_JAR) if name.endswith(".class")}

    assert len(others) > 100
    assert ours & theirs == set()
