import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.grafana.build import DASHBOARD, render
from monitoring.grafana.panels import Panel, Query, Row, dashboard
from tests.monitoring.catalogue import families, selectors, unknown
from tests.monitoring.test_rules import RECORDED

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads(render())
PANELS: list[dict[str, Any]] = [panel for panel in DOCUMENT["panels"] if panel["type"] != "row"]
PROVISIONING = ROOT / "monitoring" / "grafana" / "provisioning"


def test_the_dashboard_is_what_its_generator_writes() -> None:
    assert DASHBOARD.read_text() == render(), "run: python -m monitoring.grafana.build"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_and_labels_that_exist(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert selectors(target["expr"])
        assert unknown(target["expr"], RECORDED) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")


def test_no_two_panels_overlap_or_share_an_id() -> None:
    assert len({panel["id"] for panel in DOCUMENT["panels"]}) == len(DOCUMENT["panels"])
    cells = [
        (x, y)
        for panel in DOCUMENT["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_a_row_that_is_too_wide_is_refused() -> None:
    wide = Panel("a", "b.", [Query("ztfm_ready")], width=13)
    with pytest.raises(ValueError, match="wider than 24"):
        dashboard("u", "t", "d", [Row("r", (wide, wide))])


def test_what_an_operator_needs_to_see_is_shown() -> None:
    asked = {name for panel in PANELS for target in panel["targets"] for name, _ in selectors(target["expr"])}
    recorded = {part for name in asked for part in name.split(":")}
    shown = {family for family in families() if any(name.startswith(family) for name in asked | recorded)}
    assert set(families()) - shown <= {
        "ztfm_build_info",
        "ztfm_http_request_duration_seconds",
        "ztfm_policy_activated_timestamp_seconds",
    }


def test_the_dashboard_finds_its_data_source_and_its_folder() -> None:
    source = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "ztfm.yml").read_text())["providers"][0]
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert source["type"] == "prometheus"
    assert any(mount.split(":")[1] == provider["options"]["path"] for mount in grafana["volumes"])
    assert re.fullmatch(r"http://prometheus:\d+", source["url"])
