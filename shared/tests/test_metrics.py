"""Metrics as Prometheus reads them, made from declarations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.metric_table import PROCESS_START_TIME, TABLE
from shared.metric_types import Counter, Gauge, Histogram, Label, Metric
from shared.metrics import Metrics, one_value

OURS = ("capacity",)
REASON = Label("reason", "why", ("late", "early"))
PLACE = Label("place", "where")
PARKED = Counter(
    name="parked", unit="{message}", description="Parked.", processes=OURS, labels=(REASON,)
)
WAITING = Gauge(
    name="waiting", unit="{event}", description="Waiting.", processes=OURS, labels=(PLACE,)
)
AGE = Gauge(name="age", unit="s", description="Age.", processes=OURS)
TOOK = Histogram(
    name="took",
    unit="s",
    description="Took.",
    processes=OURS,
    labels=(REASON,),
    boundaries=(0.1, 1.0),
)
Labels = frozenset[tuple[str, str]]


@contextmanager
def metrics_of(service: str = "capacity") -> Iterator[Metrics]:
    metrics = Metrics(service, "1")
    metrics.gauge(PROCESS_START_TIME, lambda: one_value(1.0))
    yield metrics
    metrics.close()


def shown(metrics: Metrics) -> dict[tuple[str, Labels], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels(**values: str) -> Labels:
    return frozenset(values.items())


def test_a_gauge_shows_its_values_as_of_the_reading() -> None:
    depths = {"a": 3.0}
    with metrics_of() as metrics:
        metrics.gauge(WAITING, lambda: [(depth, (place,)) for place, depth in depths.items()])
        depths["a"] = 5.0
        found = shown(metrics)

    assert found[("waiting", labels(place="a"))] == 5.0


def test_a_gauge_that_is_not_known_is_not_shown() -> None:
    with metrics_of() as metrics:
        metrics.gauge(AGE, list)
        found = shown(metrics)

    assert not any(name.startswith("age") for name, _ in found)


def test_two_processes_metrics_do_not_mix() -> None:
    with metrics_of() as one, metrics_of() as other:
        one.gauge(WAITING, lambda: [(1.0, ("here",))])
        other.gauge(AGE, lambda: one_value(2.0))
        found = shown(other)

    assert ("age_seconds", labels()) in found
    assert not any(name == "waiting" for name, _ in found)


def test_a_counter_is_0_from_the_start_for_each_known_value() -> None:
    with metrics_of() as metrics:
        metrics.counter(PARKED)
        found = shown(metrics)

    assert found[("parked_total", labels(reason="late"))] == 0.0
    assert found[("parked_total", labels(reason="early"))] == 0.0


def test_values_that_are_not_known_count_as_other_however_many_there_are() -> None:
    with metrics_of() as metrics:
        counter = metrics.counter(PARKED)
        histogram = metrics.histogram(TOOK)
        for number in range(1000):
            counter.add(1, f"reason-{number}")
            histogram.record(0.05, f"reason-{number}")
        counter.add(2, "late")
        found = shown(metrics)

    counted = {series: value for series, value in found.items() if series[0] == "parked_total"}
    assert counted == {
        ("parked_total", labels(reason="late")): 2.0,
        ("parked_total", labels(reason="early")): 0.0,
        ("parked_total", labels(reason="other")): 1000.0,
    }
    assert found[("took_seconds_count", labels(reason="other"))] == 1000.0
    assert sum(name == "took_seconds_count" for name, _ in found) == 1


def test_gauges_that_become_other_are_added_up() -> None:
    declared = Gauge(
        name="parked_now", unit="{message}", description="Now.", processes=OURS, labels=(REASON,)
    )
    with metrics_of() as metrics:
        metrics.gauge(declared, lambda: [(2, ("strange",)), (3, ("stranger",)), (4, ("late",))])
        found = shown(metrics)

    assert found[("parked_now", labels(reason="other"))] == 5.0
    assert found[("parked_now", labels(reason="late"))] == 4.0


def test_a_histogram_counts_a_value_on_a_boundary_as_within_it() -> None:
    with metrics_of() as metrics:
        histogram = metrics.histogram(TOOK)
        histogram.record(1.0, "late", count=3)
        histogram.record(1.01, "late")
        found = shown(metrics)

    buckets = {
        dict(series)["le"]: value
        for (name, series), value in found.items()
        if name == "took_seconds_bucket"
    }
    assert buckets == {"0.1": 0.0, "1.0": 3.0, "+Inf": 4.0}
    assert found[("took_seconds_count", labels(reason="late"))] == 4.0
    assert found[("took_seconds_sum", labels(reason="late"))] == pytest.approx(4.01)


def test_as_many_values_must_be_given_as_labels_are_declared() -> None:
    with metrics_of() as metrics:
        counter, histogram = metrics.counter(PARKED), metrics.histogram(TOOK)
        given: Sequence[tuple[str, ...]] = [(), ("late", "more")]
        for values in given:
            with pytest.raises(AssertionError, match="a value for each label"):
                counter.add(1, *values)
            with pytest.raises(AssertionError, match="a value for each label"):
                histogram.record(1.0, *values)


def test_a_process_has_no_metric_that_is_declared_for_others() -> None:
    with metrics_of("student") as metrics:
        with pytest.raises(AssertionError, match="parked is not of student"):
            metrics.counter(PARKED)
        with pytest.raises(AssertionError, match="took is not of student"):
            metrics.histogram(TOOK)
        with pytest.raises(AssertionError, match="age is not of student"):
            metrics.gauge(AGE, list)


def test_names_in_the_table_are_each_of_one_metric() -> None:
    names = [one.exposed for one in TABLE]
    assert len(set(names)) == len(names) > 40


@pytest.mark.parametrize("declared", TABLE, ids=lambda one: str(one.name))
def test_each_metric_is_shown_under_the_name_that_the_table_says(
    declared: Metric,
) -> None:
    series = tuple(label.known[0] if label.known else "x" for label in declared.labels)
    with metrics_of(declared.processes[0]) as metrics:
        match declared:
            case Counter():
                metrics.counter(declared).add(1, *series)
            case Gauge():
                metrics.gauge(declared, lambda: [(1.0, series)])
            case Histogram():
                metrics.histogram(declared).record(1.0, *series)
        names = {name for name, _ in shown(metrics)}

    suffixes = ("_bucket", "_count", "_sum") if isinstance(declared, Histogram) else ("",)
    always = {"target_info", PROCESS_START_TIME.exposed}
    assert names == {declared.exposed + suffix for suffix in suffixes} | always
