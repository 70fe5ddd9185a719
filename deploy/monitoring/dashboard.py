"""The dashboard as Grafana reads it, drawn from the rows of panels."""

from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import common as shared_builders
from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from deploy.monitoring.panels import ROWS, Panel

UID: Final = "enrollment-saga"
DATA_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
PANEL_HEIGHT: Final = 8
PANEL_WIDTH: Final = 8  # three beside each other


def dashboard_json() -> str:
    """Write the dashboard for Grafana's import."""
    made = (
        dashboard.Dashboard("Enrollment saga")
        .uid(UID)
        .tags(["enrollment"])
        .refresh("30s")
        .time("now-1h", "now")
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
    )
    for row in ROWS:
        made = made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(_drawing(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _drawing(panel: Panel) -> timeseries.Panel:
    legend = (
        shared_builders.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    drawing = (
        timeseries.Panel()
        .title(panel.title)
        .unit(panel.unit)
        .min(0)
        .datasource(DATA_SOURCE)
        .height(PANEL_HEIGHT)
        .span(PANEL_WIDTH)
        .legend(legend)
    )
    for name, series in zip(ascii_uppercase, panel.series, strict=False):
        query = prometheus.Dataquery().ref_id(name).expr(series.expression)
        drawing = drawing.with_target(query.legend_format(series.legend))
    return drawing
