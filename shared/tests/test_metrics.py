"""Metrics as Prometheus reads them."""

from shared.metrics import Metrics


def test_a_gauge_shows_its_values_as_of_the_reading() -> None:
    metrics = Metrics("capacity", "capacity-1")
    depths = {"a": 3.0}
    metrics.gauge(
        "waiting", "1", "What waits.", lambda: [(v, {"topic": k}) for k, v in depths.items()]
    )

    depths["a"] = 5.0
    shown = metrics.exposition().decode()
    metrics.close()

    lines = [line for line in shown.splitlines() if line.startswith("waiting")]
    assert len(lines) == 1
    assert 'topic="a"' in lines[0]
    assert lines[0].endswith(" 5.0")


def test_two_processes_metrics_do_not_mix() -> None:
    one, other = Metrics("capacity", "capacity-1"), Metrics("student", "student-1")
    one.gauge("mine", "1", "Mine.", lambda: [(1.0, {})])
    other.gauge("its_own", "1", "Its own.", lambda: [(2.0, {})])

    shown = other.exposition().decode()
    one.close()
    other.close()

    assert "mine" not in shown
    assert "its_own" in shown
