"""From panels to Grafana's JSON: what is laid out, and how queries follow the choices at the top."""

import re
from typing import Any

import pytest

from monitoring.grafana.panels import Column, Dashboard, LogQuery, Panel, Query, Row
from monitoring.grafana.rendering import rendered
from monitoring.grafana.scoping import SEGMENTED, scoped, variables_of
from tests.monitoring.catalogue import series

ASKED = [Query("sum(ztfm_ready)")]
LISTED = [LogQuery("/v1/decisions", [Column("id", "Decision")], "decisions", {"limit": "5"})]


def panel(queries: Any = ASKED, **changes: Any) -> Panel:
    return Panel("Title", "What it is. What to do.", queries, "short", **changes)


def dashboard(*panels: Panel, **changes: Any) -> dict[str, Any]:
    return rendered(Dashboard("u", "ZTFM things", "Why?", [Row("r", panels)], **changes), [])


def variables(document: dict[str, Any]) -> list[str]:
    return [variable["name"] for variable in document["templating"]["list"]]


CHOSEN = 'job=~"$job", instance=~"$instance"'


@pytest.mark.parametrize(
    ("expr", "tied"),
    [
        ("ztfm_ready", f"ztfm_ready{{{CHOSEN}}}"),
        ("min(up)", f"min(up{{{CHOSEN}}})"),
        ('rate(ztfm_x_total{a="b"}[5m])', f'rate(ztfm_x_total{{a="b", {CHOSEN}}}[5m])'),
        ("ztfm_updates_total", f'ztfm_updates_total{{{CHOSEN}, segment=~"$segment"}}'),
        ("segment:ztfm_y:rate5m", 'segment:ztfm_y:rate5m{job=~"$job", segment=~"$segment"}'),
        ("action_outcome:ztfm_y:rate5m", 'action_outcome:ztfm_y:rate5m{job=~"$job"}'),
        ("instance:ztfm_y:rate5m", f"instance:ztfm_y:rate5m{{{CHOSEN}}}"),
        ("ztfm_adapter_rounds_total", 'ztfm_adapter_rounds_total{instance=~"$aggregator"}'),
        ("ztfm_adapter_gateway_cuts_total", 'ztfm_adapter_gateway_cuts_total{instance=~"$gateway"}'),
        ("ztfm_adapter_router_flows", 'ztfm_adapter_router_flows{instance=~"$router"}'),
        (
            'sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum{a="b"})',
            'sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum{a="b", instance=~"$gateway"})',
        ),
        ("process_open_fds / process_max_fds", f"process_open_fds{{{CHOSEN}}} / process_max_fds{{{CHOSEN}}}"),
        ("sum by (update, up_to) (vector(0))", "sum by (update, up_to) (vector(0))"),
    ],
)
def test_each_series_of_a_query_follows_what_is_chosen(expr: str, tied: str) -> None:
    assert scoped(expr) == tied


def test_the_series_that_follow_a_segment_are_those_that_say_one() -> None:
    assert {name for name, labels in series().items() if "segment" in labels} == SEGMENTED


def test_a_query_names_the_variables_that_it_needs() -> None:
    assert variables_of("ztfm_ready + ztfm_updates_total") == {"job", "instance", "segment"}
    assert variables_of("vector(0)") == set()


def test_a_dashboard_has_the_variables_that_its_queries_need_and_no_others() -> None:
    assert variables(dashboard(panel())) == ["datasource", "job", "instance"]
    asked = [Query("ztfm_adapter_rounds_total"), Query("ztfm_quarantines_total")]
    assert variables(dashboard(panel(asked))) == ["datasource", "job", "instance", "segment", "aggregator"]
    shown = dashboard(panel(LISTED, kind="table"), asks_for_decision=True)
    assert variables(shown) == ["datasource", "log", "job", "instance", "decision"]


def test_a_request_to_the_control_plane_goes_through_the_log_s_data_source() -> None:
    (_, table) = dashboard(panel(LISTED, kind="table"))["panels"]
    (target,) = table["targets"]
    assert target["datasource"]["uid"] == table["datasource"]["uid"] == "${log}"
    assert target["url_options"]["params"] == [{"key": "limit", "value": "5"}]
    (override,) = table["fieldConfig"]["overrides"]
    assert override["matcher"]["options"] == "Decision"
    assert "var-decision=${__value.raw}" in override["properties"][0]["value"][0]["url"]


def test_no_two_panels_overlap_and_rows_come_one_below_the_other() -> None:
    rows = [Row("a", (panel(width=12), panel(width=12)), height=3), Row("b", (panel(width=24),), height=4)]
    places = [item["gridPos"] for item in rendered(Dashboard("u", "t", "d", rows), [])["panels"]]
    assert [(place["x"], place["y"], place["w"], place["h"]) for place in places] == [
        (0, 0, 24, 1),
        (0, 1, 12, 3),
        (12, 1, 12, 3),
        (0, 4, 24, 1),
        (0, 5, 24, 4),
    ]


def test_a_row_that_is_too_wide_is_refused() -> None:
    with pytest.raises(ValueError, match="wider than 24"):
        dashboard(panel(width=13), panel(width=13))


def test_a_link_takes_time_and_choices_along() -> None:
    other = Dashboard("other", "ZTFM other things", "More.", [])
    document = rendered(Dashboard("u", "t", "d", [Row("r", [panel(leads_to="other")])]), [other])
    (link,), (below,) = document["links"], document["panels"][1]["links"]
    assert (link["url"], link["keepTime"], link["includeVars"]) == (
        "/d/other/other-things".replace("other-", "ztfm-other-"),
        True,
        True,
    )
    assert re.search(r"\$\{__url_time_range\}&\$\{job:queryparam\}", below["url"])


def test_only_newest_values_are_asked_for_where_only_they_are_shown() -> None:
    stat, graph = dashboard(panel(kind="stat"), panel())["panels"][1:]
    assert (stat["targets"][0]["instant"], stat["targets"][0]["range"]) == (True, False)
    assert (graph["targets"][0]["instant"], graph["targets"][0]["range"]) == (False, True)
