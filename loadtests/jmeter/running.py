"""Plays the plans one after the other, judges each, and writes the reports."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.local.errors import StackError
from loadtests.day.dataset import read_day
from loadtests.day.running import audited
from loadtests.jmeter.data import signers_of
from loadtests.jmeter.data_files import DAY, FILES, RUSH_SECTIONS, Wishes, make_data
from loadtests.jmeter.ground import Ground, ground
from loadtests.jmeter.home import home
from loadtests.jmeter.jtl import read_jtl
from loadtests.jmeter.options import Options
from loadtests.jmeter.plans import PLANS, Plan
from loadtests.jmeter.process import JAR, Files, Say, ledger_of, run_jmeter
from loadtests.jmeter.report import Result, result_of, write_reports
from loadtests.jmeter.targets import judge_audit, judge_ledger, judge_outcomes, judge_samples
from shared.clock import system_clock

WARM_UP: Final = {"threads": "20", "rampup": "2", "rate": "60"}
OF_THE_DAY: Final = "inscription"  # the one plan that plays the day's own requests
SCARCITY: Final = 4  # so many ask for each seat in the rush
USUAL: Final = {"threads": 50, "loops": 10}
PORT_OF: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Scene:
    """What all plays of a run share."""

    options: Options
    found: Ground
    jmeter_home: Path
    data: Path
    run: str
    say: Say


def judged_file(options: Options, file: Path) -> list[Result]:
    """Judge what JMeter wrote elsewhere; there is no system to audit."""
    samples = read_jtl(file)
    return [
        result_of(
            plan,
            samples,
            judge_samples(plan, samples, options.targets),
            load=os.getloadavg()[0],
            files=Files(file.parent),
        )
        for plan in options.plans
    ]


def run_tests(options: Options, say: Say) -> list[Result]:
    """Play and judge all plans; what could be judged is reported, even if a later one fails."""
    run = f"{system_clock():%Y%m%d-%H%M%S}"
    jmeter_home = options.jmeter_home or home()
    if not (jmeter_home / JAR).exists():
        raise StackError(f"{jmeter_home} is no JMeter: it has no {JAR}.")
    if options.data is not None:
        _require_files(options.data)
    results: list[Result] = []
    summary = Path()
    with ground(options, say) as found:
        data = _data(options, found, run, say)
        scene = Scene(options, found, jmeter_home, data, run, say)
        _warm_up(scene)
        for plan in options.plans:
            results = [*results, _played(scene, plan)]
            summary = write_reports(options.results / f"run-{run}", results)
    say(f"reports: {summary}")
    return results


def _data(options: Options, found: Ground, run: str, say: Say) -> Path:
    """Make what the plans need, or take what is there."""
    if options.data is not None:
        return options.data
    assert found.kafka_url is not None
    assert found.private_key is not None
    folder = options.results / f"run-{run}" / "data"
    needs_day = any(plan.name == OF_THE_DAY for plan in options.plans)
    days = Wishes.days if needs_day else 0
    wishes = Wishes(run, days=days, rush_seats=rush_seats(options.properties))
    make_data(
        folder,
        read_day(DAY),
        found.kafka_url,
        wishes,
        signers=signers_of(found.private_key),
        say=say,
    )
    return folder


def _require_files(folder: Path) -> None:
    missing = sorted(name for name in FILES if not (folder / name).is_file())
    if missing:
        raise StackError(
            f"{folder} has no {', '.join(missing)}: make them by `python -m loadtests.jmeter.data "
            f"--folder {folder}`, or leave out --data."
        )


def rush_seats(properties: Mapping[str, str]) -> int:
    """Give each section of the rush so few seats that it fills up, however short the plan."""
    asked = 1
    for name, usual in USUAL.items():
        value = properties.get(name, "")
        asked *= int(value) if value.isdecimal() else usual
    return max(1, asked // (RUSH_SECTIONS * SCARCITY))


def _warm_up(scene: Scene) -> None:
    """Let Java and Python find their pace; nothing of it is judged."""
    seconds = scene.options.warm_up_seconds
    if seconds <= 0:
        return
    scene.say(f"warming up for {seconds:.0f} s")
    files = Files(scene.options.results / f"run-{scene.run}" / "warm-up")
    properties = _properties(scene, WARM_UP | {"duration": f"{seconds:.0f}"}, "warm-up")
    run_jmeter(
        scene.jmeter_home,
        PLANS["soak"].path,
        files,
        properties,
        with_report=False,
        seconds_max=seconds + PLANS["health"].seconds_max,
        say=scene.say,
    )


def _played(scene: Scene, plan: Plan) -> Result:
    scene.say(f"playing {plan.name} ({plan.file})")
    moment, load = datetime.now().astimezone(), os.getloadavg()[0]
    files = Files(scene.options.results / f"{plan.name}-{moment:%Y%m%d-%H%M%S}")
    run_jmeter(
        scene.jmeter_home,
        plan.path,
        files,
        _properties(scene, scene.options.properties, plan.name),
        with_report=True,
        seconds_max=plan.seconds_max,
        say=scene.say,
    )
    samples = read_jtl(files.samples)
    verdicts = judge_samples(plan, samples, scene.options.targets)
    if plan.by_kafka:
        ledger = ledger_of(files)
        verdicts += [judge_ledger(ledger), judge_outcomes(ledger, samples)]
    if scene.found.kafka_url and scene.found.database_urls and scene.options.has_audit:
        found = audited(scene.found.kafka_url, scene.found.database_urls, scene.say)
        verdicts.append(judge_audit(found))
    result = result_of(plan, samples, verdicts, load=load, files=files)
    for verdict in verdicts:
        scene.say(f"  {'met   ' if verdict.is_met else 'MISSED'} {verdict.target}: {verdict.found}")
    return result


def _properties(scene: Scene, wanted: Mapping[str, str], name: str) -> dict[str, str]:
    """Tell the plans where all is; the run's name keeps the requests of two plays apart."""
    parts = urlsplit(scene.found.http_url)
    return {
        "protocol": parts.scheme,
        "host": str(parts.hostname),
        "port": str(parts.port or PORT_OF[parts.scheme]),
        "data": str(scene.data.resolve()),
        "run": f"{scene.run}-{name}",
        "kafka.bootstrap.servers": scene.found.kafka_url or "",
        **wanted,
    }
