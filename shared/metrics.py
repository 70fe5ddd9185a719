"""Metrics by OpenTelemetry, as Prometheus reads them; each is made from its declaration."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Metric as MetricData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from shared import metric_types as declare

SCOPE: Final = "enrollment"

Series = tuple[str, ...]  # a value for each label, in their order
Values = Iterable[tuple[float, Series]]
Read = Callable[[], Values]


def one_value(value: float) -> Values:
    """Give the value of a metric that has no labels."""
    return [(float(value), ())]


class Counter:
    """Counts in memory: OpenTelemetry's own instruments cost twenty times as much a call."""

    def __init__(self, declared: declare.Counter) -> None:
        self._declared = declared
        self._counts = dict.fromkeys(declared.series_at_start(), 0)

    def add(self, count: int, *labels: str) -> None:
        """Count something; a value that is not known counts as `other`."""
        if labels in self._counts:
            self._counts[labels] += count
        else:
            series = self._declared.bounded(labels)
            self._counts[series] = self._counts.get(series, 0) + count

    def values(self) -> Values:
        """Give what was counted."""
        return [(count, series) for series, count in self._counts.items()]


class _Bins:
    """How often a histogram was in which range, for one series."""

    __slots__ = ("counts", "total")

    def __init__(self, boundaries: int) -> None:
        self.counts = [0] * (boundaries + 1)
        self.total = 0.0


class Histogram:
    """Counts in memory; what is so alike that it is the same can be recorded at once."""

    def __init__(self, declared: declare.Histogram) -> None:
        self.declared = declared
        self._began_ns = time.time_ns()
        self._boundaries = declared.boundaries
        self._bins: dict[Series, _Bins] = {}
        if not declared.labels:
            self._bins[()] = _Bins(len(self._boundaries))

    def record(self, value: float, *labels: str, count: int = 1) -> None:
        """Record a value, so many times; a value of a label that is not known is `other`."""
        bins = self._bins.get(labels) or self._bins_of(labels)
        bins.counts[bisect_left(self._boundaries, value)] += count
        bins.total += value * count

    def _bins_of(self, labels: Series) -> _Bins:
        series = self.declared.bounded(labels)
        return self._bins.setdefault(series, _Bins(len(self._boundaries)))

    def data(self) -> MetricData:
        """Give all of it as OpenTelemetry has it."""
        now_ns = time.time_ns()
        points = [self._point(series, bins, now_ns) for series, bins in self._bins.items()]
        declared = self.declared
        return MetricData(
            name=declared.name,
            description=declared.description,
            unit=declared.unit,
            data=HistogramData(points, AggregationTemporality.CUMULATIVE),
        )

    def _point(self, series: Series, bins: _Bins, now_ns: int) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=_attributes(self.declared, series),
            start_time_unix_nano=self._began_ns,
            time_unix_nano=now_ns,
            count=sum(bins.counts),
            sum=bins.total,
            bucket_counts=tuple(bins.counts),
            explicit_bounds=self._boundaries,
            min=0.0,  # these two are not shown
            max=0.0,
        )


class _Reader(PrometheusMetricReader):
    """Adds histograms to what the SDK has: it has no instrument that is read when it is shown.

    They are shown beside at least one metric of the SDK's, for without any it reads nothing.
    """

    def __init__(self, registry: CollectorRegistry, resource: Resource) -> None:
        super().__init__(registry=registry, scope_info_enabled=False)
        self._resource = resource
        self.histograms: list[Histogram] = []

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        metrics = [one.data() for one in self.histograms]
        scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, schema_url="")
        ours = ResourceMetrics(self._resource, [scope], schema_url="")
        whole = MetricsData([*metrics_data.resource_metrics, ours])
        super()._receive_metrics(whole, timeout_millis, **kwargs)


class Metrics:
    """One process's metrics: OpenTelemetry's, shown as Prometheus reads them."""

    def __init__(self, service: str, instance: str) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._reader = _Reader(self._registry, resource)
        self._provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        self._meter = self._provider.get_meter(SCOPE)

    def counter(self, declared: declare.Counter) -> Counter:
        """Make a counter."""
        counter = Counter(declared)
        self.counted(declared, counter.values)
        return counter

    def counted(self, declared: declare.Counter, read: Read) -> None:
        """Show what others count, read when the metrics are; `read` must not block."""
        self._meter.create_observable_counter(
            declared.name, [self._observing(declared, read)], declared.unit, declared.description
        )

    def gauge(self, declared: declare.Gauge, read: Read) -> None:
        """Show values that are read when the metrics are; `read` must not block."""
        self._meter.create_observable_gauge(
            declared.name, [self._observing(declared, read)], declared.unit, declared.description
        )

    def histogram(self, declared: declare.Histogram) -> Histogram:
        """Make a histogram."""
        self._is_of(declared)
        histogram = Histogram(declared)
        self._reader.histograms.append(histogram)
        return histogram

    def _observing(
        self, declared: declare.Metric, read: Read
    ) -> Callable[[CallbackOptions], list[Observation]]:
        self._is_of(declared)

        def observe(_options: CallbackOptions) -> list[Observation]:
            shown: dict[Series, float] = {}
            for value, series in read():
                bounded = declared.bounded(series)
                shown[bounded] = shown.get(bounded, 0) + value
            return [Observation(one, _attributes(declared, key)) for key, one in shown.items()]

        return observe

    def _is_of(self, declared: declare.Metric) -> None:
        assert self._service in declared.processes, f"{declared.name} is not of {self._service}"

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Let go of the registry."""
        self._provider.shutdown()


def _attributes(declared: declare.Metric, series: Series) -> Mapping[str, str]:
    names = (label.name for label in declared.labels)
    return dict(zip(names, series, strict=True))
