"""Whether a plan's samples reach what is asked of them: each target a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.jmeter.figures import divided, figures_of, plateau_rate_of, rate_of
from loadtests.jmeter.jtl import TIMED_OUT, Sample
from loadtests.jmeter.plans import Plan

LABEL_SAMPLES_MIN: Final = 100  # a percentile of fewer says little
BROKEN_SHOWN_MAX: Final = 5

# The plans' own words where an answer breaks a promise, however seldom.
PROMISES: Final = (
    "the seats that are reserved are not exactly those that there are",
    "a repeat got another body",
    "another thread got another body for the same key",
)


@dataclass(frozen=True)
class Targets:
    """What is asked of a normal load."""

    per_second_min: float = 100.0
    p95_seconds_max: float = 1.0
    p99_seconds_max: float = 2.0
    error_percent_max: float = 1.0
    available_percent_min: float = 99.9


@dataclass(frozen=True)
class Verdict:
    """One target of a plan, and what was found."""

    target: str
    is_met: bool
    found: str


def judge_samples(plan: Plan, samples: Sequence[Sample], targets: Targets) -> list[Verdict]:
    """Judge what JMeter saw."""
    verdicts = [_promises(samples), *_errors(plan, samples, targets)]
    calm = [one for one in samples if plan.calm_group in (None, one.group)]
    if not calm:
        return [*verdicts, Verdict(f"{plan.calm_group} was played", False, "it has no sample")]
    if plan.has_rate:
        verdicts.append(_rate(plan, calm, targets))
    return [*verdicts, *_times(calm, targets), _availability(calm, targets)]


def _promises(samples: Sequence[Sample]) -> Verdict:
    broken = [one for one in samples if any(promise in one.failure for promise in PROMISES)]
    shown = sorted({f"{one.label}: {one.failure}" for one in broken})[:BROKEN_SHOWN_MAX]
    return Verdict(
        "no answer breaks a promise",
        not broken,
        "none does" if not broken else f"{len(broken)} do: {'; '.join(shown)}",
    )


def _errors(plan: Plan, samples: Sequence[Sample], targets: Targets) -> Iterator[Verdict]:
    parts = {"errors": list(samples)}
    if plan.calm_group is not None:
        parts = {"errors while it breaks": [s for s in samples if s.group != plan.calm_group]}
        parts["errors afterwards"] = [s for s in samples if s.group == plan.calm_group]
    for name, part in parts.items():
        if part:
            percent = 100 * figures_of(part).error_share
            most = targets.error_percent_max
            worst = _commonest_failure(part)
            found = f"{percent:.2f} % of {len(part):,}{worst}"
            yield Verdict(f"{name} < {most:g} %", percent < most, found)


def _commonest_failure(samples: Sequence[Sample]) -> str:
    failed = [one for one in samples if not one.is_good]
    if not failed:
        return ""
    kinds = divided(failed, lambda one: f"{one.label}: {one.code} {one.failure}".strip())
    worst, those = max(kinds.items(), key=lambda kind: len(kind[1]))
    return f"; most often ({len(those):,}) {worst}"


def _rate(plan: Plan, samples: Sequence[Sample], targets: Targets) -> Verdict:
    least = targets.per_second_min
    if plan.rate_label is None:
        rate = plateau_rate_of(samples)
    else:
        judged = [one for one in samples if one.label == plan.rate_label]
        rate = rate_of(judged) if judged else 0.0
    return Verdict(f"at least {least:g}/s", rate >= least, f"{rate:,.1f}/s")


def _times(samples: Sequence[Sample], targets: Targets) -> Iterator[Verdict]:
    """Judge all together, and each label that has enough: quick ones must not hide slow ones."""
    labels = divided(samples, lambda one: one.label)
    parts = {"all": samples}
    parts |= {label: part for label, part in labels.items() if len(part) >= LABEL_SAMPLES_MIN}
    counted = {name: figures_of(part) for name, part in parts.items()}
    limits = {"p95": targets.p95_seconds_max, "p99": targets.p99_seconds_max}
    for name, most in limits.items():
        worst = max(counted, key=lambda part: _ms(counted[part], name))
        seconds = _ms(counted[worst], name) / 1000
        yield Verdict(f"{name} < {most:g} s", seconds < most, f"{seconds:.3f} s ({worst})")


def _ms(figures: Any, name: str) -> int:
    return int(getattr(figures, f"{name}_ms"))


def _availability(samples: Sequence[Sample], targets: Targets) -> Verdict:
    percent, least = 100 * figures_of(samples).available_share, targets.available_percent_min
    return Verdict(
        f"availability > {least:g} %", percent > least, f"{percent:.3f} % of {len(samples):,}"
    )


def judge_ledger(ledger: Mapping[str, Any] | None) -> Verdict:
    """Judge the Kafka sampler's own account; None where it wrote none."""
    target = "the Kafka sampler's ledger adds up"
    if ledger is None:
        return Verdict(target, False, "it wrote none: see jmeter.log")
    problems = [str(problem) for problem in ledger.get("problems", [])]
    is_sound = ledger.get("adds_up") is True and not problems
    counts = ", ".join(
        f"{name} {ledger.get(name, '?')}"
        for name in (
            "sent",
            "confirmed",
            "rejected",
            "timed_out",
            "unacknowledged",
            "send_delay_ms_max",
        )
    )
    return Verdict(target, is_sound, "; ".join([*problems, counts]))


def judge_outcomes(ledger: Mapping[str, Any] | None, samples: Sequence[Sample]) -> Verdict:
    """Judge whether every outcome came: one that is late is slow, one that never comes is lost."""
    counts = ledger or {}
    timed_out, late = counts.get("timed_out", 0), counts.get("late", 0)
    lost = max(0, timed_out - late)
    said = sorted({one.message.rstrip(".") for one in samples if one.code == TIMED_OUT})
    shown = f": {'; '.join(said[:BROKEN_SHOWN_MAX])}" if lost else ""
    found = f"{lost:,} never came, {late:,} came late{shown}"
    return Verdict("no outcome is lost", not lost, found)


def judge_audit(violations: Sequence[str]) -> Verdict:
    """Judge what the auditor found in topics and tables."""
    shown = "; ".join(violations[:BROKEN_SHOWN_MAX])
    found = "0 violations" if not violations else f"{len(violations)} violations: {shown}"
    return Verdict("the audit finds no broken promise", not violations, found)
