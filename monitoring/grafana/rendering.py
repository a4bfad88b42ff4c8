"""How a dashboard becomes Grafana's JSON: a grid of 24 columns, variables, links and annotations."""

from collections.abc import Iterator, Sequence
from typing import Any

from monitoring.grafana.decision_log import DECISION_COLUMN, DECISIONS
from monitoring.grafana.panels import Annotation, Dashboard, Kind, LogQuery, Panel, Query, Row
from monitoring.grafana.scoping import scoped, variables_of

GRID_COLUMNS = 24
SCHEMA_VERSION = 39
INFINITY = "yesoreyeram-infinity-datasource"
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
LOG = {"type": INFINITY, "uid": "${log}"}
COLOURS = {"allow": "green", "deny": "orange", "error": "red", "accepted": "green", "rejected": "orange"}
VALUES = {
    "job": ("Job", "label_values(ztfm_ready, job)"),
    "instance": ("Instance", 'label_values(ztfm_ready{job=~"$job"}, instance)'),
    "segment": (
        "Segment",
        'label_values({__name__=~"ztfm_(trust_score_count|updates_total|site_vetoes_total)", job=~"$job"}, segment)',
    ),
    "aggregator": ("Aggregator", "label_values(ztfm_adapter_rounds_total, instance)"),
    "gateway": ("Gateway", "label_values(ztfm_adapter_gateway_requests_total, instance)"),
    "router": ("Router", "label_values(ztfm_adapter_router_flows, instance)"),
}
"""Variables that queries are tied to: what each is called, and where its values come from."""

CHOSEN = "?${__url_time_range}&${job:queryparam}&${instance:queryparam}"
"""What a panel's link takes along; Grafana keeps time and variables by itself for a dashboard's links alone."""

REVISIONS = Annotation(
    "Policy revisions",
    "max by (revision) (ztfm_policy_info * on (job, instance) group_left () ztfm_policy_activated_timestamp_seconds) "
    "* 1000",
    "Policy {{revision}}",
)


def rendered(dashboard: Dashboard, beside: Sequence[Dashboard]) -> dict[str, Any]:
    """Return Grafana's JSON of a dashboard that links to those beside it.

    Raises:
        ValueError: a row is wider than the grid.
    """
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["ztfm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link(other) for other in beside if other.uid != dashboard.uid],
        "annotations": {"list": [_annotation(one) for one in (REVISIONS, *dashboard.annotations)]},
        "templating": {"list": list(_variables(dashboard))},
        "panels": list(_laid_out(dashboard.rows, {other.uid: other for other in beside})),
    }


def _link(other: Dashboard, variables: str = "") -> dict[str, Any]:
    return {
        "type": "link",
        "title": _short(other),
        "tooltip": other.description,
        "url": f"/d/{other.uid}/{other.slug}{variables}",
        "icon": "dashboard",
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
        "asDropdown": False,
        "tags": [],
    }


def _short(dashboard: Dashboard) -> str:
    name = dashboard.title.removeprefix("ZTFM ")
    return name[0].upper() + name[1:]


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "name": annotation.name,
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": "purple",
        "target": {"refId": "Anno", "expr": scoped(annotation.expr), "range": True, "instant": False},
        "titleFormat": annotation.title,
        "useValueForTime": True,
    }


def _variables(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    yield _source("datasource", "Prometheus", "prometheus")
    queries = [query for panel in dashboard.panels for query in panel.queries]
    if any(isinstance(query, LogQuery) for query in queries):
        yield _source("log", "Decision log", INFINITY)
    asked = [query.expr for query in queries if isinstance(query, Query)]
    tied = {variable for expr in (REVISIONS.expr, *asked) for variable in variables_of(expr)}
    yield from (_values(name, *VALUES[name]) for name in VALUES if name in tied)
    if dashboard.asks_for_decision:
        nothing = {"text": "", "value": ""}
        yield {"name": "decision", "label": "Decision", "type": "textbox", "query": "", "current": nothing, "hide": 0}


def _source(name: str, label: str, plugin: str) -> dict[str, Any]:
    return {"name": name, "label": label, "type": "datasource", "query": plugin, "hide": 0}


def _values(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }


def _laid_out(rows: Sequence[Row], known: dict[str, Dashboard]) -> Iterator[dict[str, Any]]:
    top, number = 0, 1
    for row in rows:
        place = {"x": 0, "y": top, "w": GRID_COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        for panel in row.panels:
            if left + panel.width > GRID_COLUMNS:
                raise ValueError(f"row {row.title!r} is wider than {GRID_COLUMNS} columns")
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": row.height}, known)
            number, left = number + 1, left + panel.width
        top += row.height


def _panel(panel: Panel, number: int, place: dict[str, int], known: dict[str, Dashboard]) -> dict[str, Any]:
    targets = [_target(panel, query, chr(ord("A") + index)) for index, query in enumerate(panel.queries)]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": targets[0]["datasource"],
        "gridPos": place,
        "targets": targets,
        "links": [_link(known[panel.leads_to], CHOSEN)] if panel.leads_to else [],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        **({"transformations": _arranged(panel)} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, query: Query | LogQuery, name: str) -> dict[str, Any]:
    if isinstance(query, LogQuery):
        return _request(query, name)
    is_instant = panel.kind in ("stat", "table", "bargauge")
    formats: dict[Kind, str] = {"heatmap": "heatmap", "table": "table"}
    return {
        "refId": name,
        "datasource": PROMETHEUS,
        "expr": scoped(query.expr),
        "legendFormat": query.legend or "__auto",
        "format": formats.get(panel.kind, "time_series"),
        "instant": is_instant,
        "range": not is_instant,
        "exemplar": query.exemplars,
    }


def _request(query: LogQuery, name: str) -> dict[str, Any]:
    return {
        "refId": name,
        "datasource": LOG,
        "type": "json",
        "source": "url",
        "parser": "backend",
        "format": "table",
        "url": query.path,
        "url_options": {
            "method": "GET",
            "data": "",
            "params": [{"key": key, "value": value} for key, value in query.parameters.items()],
        },
        "root_selector": query.root,
        "columns": [
            {"selector": column.selector, "text": column.title, "type": column.kind} for column in query.columns
        ],
        "filters": [],
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
    if any(isinstance(query, LogQuery) for query in panel.queries):
        url = f"/d/{DECISIONS}?var-decision=${{__value.raw}}&${{__url_time_range}}"
        leading = {"id": "links", "value": [{"title": "Why?", "url": url, "targetBlank": False}]}
        return [{"matcher": {"id": "byName", "options": DECISION_COLUMN}, "properties": [leading]}]
    legends = [query.legend for query in panel.queries if isinstance(query, Query)]
    if panel.kind != "timeseries" or not any("{{outcome}}" in one or "{{verdict}}" in one for one in legends):
        return []
    return [
        {
            "matcher": {"id": "byRegexp", "options": f".*\\b{word}\\b.*"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for word, colour in COLOURS.items()
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


def _arranged(panel: Panel) -> list[dict[str, Any]]:
    if any(isinstance(query, LogQuery) for query in panel.queries):
        newest_first = {"fields": {}, "sort": [{"field": "Time", "desc": True}]}
        return [{"id": "merge", "options": {}}, {"id": "sortBy", "options": newest_first}]
    hidden = dict.fromkeys(("Time", "Value", "__name__", "job"), True)
    return [{"id": "organize", "options": {"excludeByName": hidden}}]
