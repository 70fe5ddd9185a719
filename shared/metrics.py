"""Metrics by OpenTelemetry, as Prometheus reads them."""

from collections.abc import Callable

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

Gauge = Callable[[], list[tuple[float, dict[str, str]]]]


class Metrics:
    """One process's metrics: OpenTelemetry's instruments, shown as Prometheus reads them."""

    def __init__(self, service: str, instance: str) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(registry=self._registry)
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.meter: Meter = self._provider.get_meter("enrollment")

    def gauge(self, name: str, unit: str, description: str, read: Gauge) -> None:
        """Show values that are read when the metrics are; `read` must not block."""

        def observe(_options: CallbackOptions) -> list[Observation]:
            return [Observation(value, labels) for value, labels in read()]

        self.meter.create_observable_gauge(name, [observe], unit, description)

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Let go of the registry."""
        self._provider.shutdown()
