"""What a dashboard is made of, and how it becomes Grafana's JSON: queries, panels, rows on a grid of 24 columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "heatmap", "table", "bargauge"]

GRID_COLUMNS = 24
SCHEMA_VERSION = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLOURS = {"allow": "green", "deny": "orange", "error": "red", "accepted": "green", "rejected": "orange"}


@dataclass(frozen=True)
class Query:
    """One PromQL query.

    Attributes:
        expr: PromQL.
        legend: name of its series, with labels in ``{{ }}``.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        description: how to read it.
        queries: its series, in order.
        kind: how it is drawn; a heatmap needs one histogram's buckets, a table shows the newest values.
        unit: Grafana's name of the unit.
        width: columns of 24.
        steps: value from which a colour holds, lowest first; none for the default.
        texts: what a value is shown as.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    steps: Sequence[tuple[float | None, str]] = ()
    texts: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class Row:
    """A titled row of panels, all of one height in grid units."""

    title: str
    panels: Sequence[Panel]
    height: int = 8


def dashboard(uid: str, title: str, description: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return Grafana's JSON of a dashboard over one Prometheus, chosen by the variable ``datasource``."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["ztfm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [_policy_changes()]},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0}]},
        "panels": list(_laid_out(rows)),
    }


def _policy_changes() -> dict[str, Any]:
    return {
        "name": "New policy revision",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": "changes(ztfm_policy_activated_timestamp_seconds[1m]) > 0",
        "titleFormat": "New policy revision",
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    top, number = 0, 1
    for row in rows:
        place = {"x": 0, "y": top, "w": GRID_COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        for panel in row.panels:
            if left + panel.width > GRID_COLUMNS:
                raise ValueError(f"row {row.title!r} is wider than {GRID_COLUMNS} columns")
            yield _rendered(panel, number, {"x": left, "y": top, "w": panel.width, "h": row.height})
            number, left = number + 1, left + panel.width
        top += row.height


def _rendered(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        **({"transformations": _table_columns()} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, query: Query, index: int) -> dict[str, Any]:
    is_instant = panel.kind in ("stat", "table", "bargauge")
    formats: dict[Kind, str] = {"heatmap": "heatmap", "table": "table"}
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "format": formats.get(panel.kind, "time_series"),
        "instant": is_instant,
        "range": not is_instant,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "mappings": _mappings(panel)}
    if panel.steps:
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
        }
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "spanNulls": True}
        defaults["min"] = 0
    return defaults


def _mappings(panel: Panel) -> list[dict[str, Any]]:
    if not panel.texts:
        return []
    return [{"type": "value", "options": {str(value): {"text": text} for value, text in panel.texts}}]


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    if panel.kind != "timeseries":
        return []
    return [
        {
            "matcher": {"id": "byRegexp", "options": f".*\\b{word}\\b.*"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for word, colour in COLOURS.items()
        if any("{{outcome}}" in query.legend or "{{verdict}}" in query.legend for query in panel.queries)
    ]


def _options(panel: Panel) -> dict[str, Any]:
    newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "stat":
            return {"reduceOptions": newest, "colorMode": "background", "textMode": "auto"}
        case "bargauge":
            return {"reduceOptions": newest, "displayMode": "basic", "orientation": "horizontal"}
        case "heatmap":
            return {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"scheme": "Oranges", "mode": "scheme"}}
        case "table":
            return {"showHeader": True}
    return {"legend": {"displayMode": "table", "placement": "right", "calcs": ["mean", "lastNotNull"]}}


def _table_columns() -> list[dict[str, Any]]:
    hidden = dict.fromkeys(("Time", "Value", "__name__", "job"), True)
    return [{"id": "organize", "options": {"excludeByName": hidden}}]
