"""Every dashboard: current, explained, tied to what is chosen, and about series that exist."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.grafana import build
from monitoring.grafana.build import DASHBOARDS, outdated, render, write
from monitoring.grafana.panels import Dashboard, Query
from monitoring.grafana.rendering import INFINITY
from tests.monitoring.catalogue import MONITORING, families, recorded, selectors, series, unknown

ROOT = MONITORING.parent
PROVISIONING = MONITORING / "grafana" / "provisioning"
DOCUMENTS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in render().items()}
PANELS = [panel for document in DOCUMENTS.values() for panel in document["panels"] if panel["type"] != "row"]
ANNOTATIONS = [one for document in DOCUMENTS.values() for one in document["annotations"]["list"]]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = sorted(
    {target["expr"] for target in (*TARGETS, *(one["target"] for one in ANNOTATIONS)) if "expr" in target}
)
UIDS = [
    "ztfm-overview",
    "ztfm-decisions",
    "ztfm-federation",
    "ztfm-devices",
    "ztfm-policy",
    "ztfm-health",
    "ztfm-inference",
    "ztfm-gateways",
]
UNSHOWN: frozenset[str] = frozenset()
"""Families of the control plane that no dashboard shows."""


def test_the_files_are_what_the_generator_writes() -> None:
    assert outdated() == [], "run: python -m monitoring.grafana.build"


def test_a_changed_a_missing_and_a_foreign_file_are_found_and_written_anew(tmp_path: Path) -> None:
    shutil.copytree(build.FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "ztfm-policy.json").write_text("{}")
    (tmp_path / "ztfm-health.json").unlink()
    (tmp_path / "ztfm.json").write_text("{}")
    assert write(tmp_path) == ["ztfm-health.json", "ztfm-policy.json", "ztfm.json"]
    assert outdated(tmp_path) == []


def test_the_command_says_what_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"outdated": []}
    monkeypatch.setattr(build, "outdated", lambda: ["ztfm-policy.json"])
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().out == "ztfm-policy.json\n"


def test_alerts_and_bookmarks_find_the_dashboards_by_these_names() -> None:
    assert [dashboard.uid for dashboard in DASHBOARDS] == UIDS
    assert [name.removesuffix(".json") for name in DOCUMENTS] == UIDS
    assert all(re.fullmatch(r"ztfm-[a-z-]+", dashboard.slug) for dashboard in DASHBOARDS)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_is_and_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert re.fullmatch(r"[A-Z0-9].+[.?]", panel["description"])
    assert len(re.findall(r"[a-z0-9)][.:?;] ", panel["description"])) >= 1, "how to read it, and what to do"
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_a_data_source_that_is_chosen_at_the_top(panel: dict[str, Any]) -> None:
    (document,) = [found for found in DOCUMENTS.values() if panel in found["panels"]]
    chosen = {one["name"]: one["query"] for one in document["templating"]["list"] if one["type"] == "datasource"}
    assert panel["targets"]
    for asked in (panel, *panel["targets"]):
        assert chosen[asked["datasource"]["uid"].strip("${}")] == asked["datasource"]["type"]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_a_query_is_about_series_and_labels_that_exist(expr: str) -> None:
    assert selectors(expr) or re.search(r"\b(up|process_[a-z_]+|ALERTS)\{", expr)
    assert unknown(expr, set(recorded())) == []
    for name, matched in selectors(expr):
        if name in recorded():
            assert matched <= recorded()[name] | {"job"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_a_query_follows_the_job_and_the_instance_that_are_chosen(dashboard: Dashboard) -> None:
    document = DOCUMENTS[f"{dashboard.uid}.json"]
    known = {one["name"] for one in document["templating"]["list"]} | {"__rate_interval"}
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            text = json.dumps(target)
            assert set(re.findall(r"\$\{?(\w+)", text)) - {"__from", "__to"} <= known
            for name, matched in selectors(target.get("expr", "")):
                is_of_others = name.startswith(("ztfm_adapter_", "gen_ai_"))
                assert {"instance"} <= matched if is_of_others else "job" in matched
                if ":" not in name:
                    assert "instance" in matched
                if "segment" in series().get(name, set()):
                    assert "segment" in matched


def test_every_family_that_the_control_plane_exposes_is_shown_somewhere() -> None:
    asked = {part for expr in EXPRESSIONS for name, _ in selectors(expr) for part in name.split(":")}
    shown = {family for family in families() if any(name.startswith(family) for name in asked)}
    assert set(families()) - shown == UNSHOWN


def test_every_series_of_aggregators_and_gateways_is_shown_somewhere() -> None:
    asked = {re.sub(r"_(bucket|count|sum)$", "", name) for expr in EXPRESSIONS for name, _ in selectors(expr)}
    exposed = {re.sub(r"_(bucket|count|sum)$", "", name) for name in series()}
    assert {name for name in exposed if name.startswith(("ztfm_adapter_", "gen_ai_"))} <= asked


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=UIDS)
def test_a_dashboard_leads_to_all_others_and_keeps_the_time(document: dict[str, Any]) -> None:
    led = [link["url"].split("/")[2] for link in document["links"]]
    assert led == [uid for uid in UIDS if uid != document["uid"]]
    assert all(link["keepTime"] and link["includeVars"] for link in document["links"])


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=UIDS)
def test_a_dashboard_marks_when_a_policy_began_to_decide(document: dict[str, Any]) -> None:
    marks = document["annotations"]["list"][0]
    assert marks["enable"] and marks["useValueForTime"]
    assert "ztfm_policy_activated_timestamp_seconds" in marks["target"]["expr"]
    assert "{{revision}}" in marks["titleFormat"]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=UIDS)
def test_no_two_panels_share_a_place_or_an_id(document: dict[str, Any]) -> None:
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    places = [panel["gridPos"] for panel in document["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_no_panel_is_there_twice_under_another_name() -> None:
    for document in DOCUMENTS.values():
        asked = [
            json.dumps([target.get("expr", target.get("columns")) for target in panel.get("targets", ())])
            for panel in document["panels"]
            if panel["type"] != "row"
        ]
        assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("uid", ["ztfm-overview", "ztfm-decisions"])
def test_the_latest_denied_decisions_lead_to_the_one_that_is_clicked(uid: str) -> None:
    document = DOCUMENTS[f"{uid}.json"]
    (table,) = [panel for panel in document["panels"] if panel["title"] == "Latest denied decisions"]
    outcomes = [{one["key"]: one["value"] for one in target["url_options"]["params"]} for target in table["targets"]]
    assert [one["outcome"] for one in outcomes] == ["deny", "error"]
    assert all(one["since"] == "${__from:date:seconds}" for one in outcomes)
    (links,) = [item["value"] for item in table["fieldConfig"]["overrides"][0]["properties"]]
    assert links[0]["url"].startswith("/d/ztfm-decisions?var-decision=${__value.raw}")
    one = DOCUMENTS["ztfm-decisions.json"]
    assert any(
        target.get("url") == "/v1/decisions/${decision}"
        for panel in one["panels"]
        for target in panel.get("targets", ())
    )


def test_grafana_finds_data_sources_folder_and_the_dashboard_to_begin_with() -> None:
    sources = {
        source["type"]: source
        for path in sorted((PROVISIONING / "datasources").glob("*.yml"))
        for source in yaml.safe_load(path.read_text())["datasources"]
    }
    assert set(sources) == {"prometheus", INFINITY}
    assert re.fullmatch(r"http://prometheus:\d+", sources["prometheus"]["url"])
    assert sources[INFINITY]["jsonData"]["allowedHosts"] == [sources[INFINITY]["url"]] == ["http://controlplane:8181"]
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "ztfm.yml").read_text())["providers"][0]
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    (folder,) = [mount for mount in grafana["volumes"] if mount.split(":")[1] == provider["options"]["path"]]
    assert (ROOT / folder.split(":")[0]).samefile(build.FOLDER)
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home) == Path(provider["options"]["path"]) / "ztfm-overview.json"


def test_what_the_data_sources_take_from_the_environment_compose_hands_on() -> None:
    asked = set(re.findall(r"(?<!\$)\$([A-Z][A-Z_]+)", (PROVISIONING / "datasources" / "decision-log.yml").read_text()))
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert asked == {name for name in grafana["environment"] if name.startswith("ZTFM_")}
    assert {"decisions", "dashboards"} == set(grafana["networks"])


def test_the_page_for_operators_names_every_dashboard() -> None:
    page = (ROOT / "docs" / "grafana.md").read_text()
    assert all(f"`{dashboard.uid}`" in page and dashboard.title in page for dashboard in DASHBOARDS)


def test_a_query_keeps_exemplars_only_where_counts_of_decisions_have_them() -> None:
    queries = [query for dashboard in DASHBOARDS for panel in dashboard.panels for query in panel.queries]
    kept = [query.expr for query in queries if isinstance(query, Query) and query.exemplars]
    assert kept
    assert all(re.search(r"ztfm_decision(s_total|_reasons_total|_duration_seconds)", expr) for expr in kept)
