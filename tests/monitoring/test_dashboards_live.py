"""Every panel over a real Prometheus that reads a real control plane, while things happen to it."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.gateway.metrics import served as served_by_gateway
from adapters.metrics import served
from adapters.segments.metrics import RouterCollector
from adapters.segments.metrics import served as served_by_router
from monitoring.grafana.build import render
from tests.controlplane.api.test_changes import following as following_changes
from tests.controlplane.api.test_events import following
from tests.monitoring.catalogue import MONITORING
from tests.monitoring.traffic import GREEDY, Traffic, traffic
from tests.servers.ports import free_port
from tests.servers.promtool import PromtoolMissing, ensure_promtool, find_prometheus
from tests.support import wait_until

DOCUMENTS: list[dict[str, Any]] = [json.loads(text) for text in render().values()]
PANELS = [(document["uid"], panel) for document in DOCUMENTS for panel in document["panels"] if panel["type"] != "row"]
PROMETHEUS = [(uid, panel) for uid, panel in PANELS if panel["datasource"]["type"] == "prometheus"]
LOG = [(uid, panel) for uid, panel in PANELS if panel["datasource"]["type"] != "prometheus"]
MARKS = [mark for document in DOCUMENTS for mark in document["annotations"]["list"]]

EMPTY: dict[str, str] = {
    "Witnesses' answers, 1 h": "no witness is set up",
    "Signatures that did not hold, 1 h": "nobody signs models here",
    "Pulls denied for want of a signature, 1 h": "the same",
    "Dropped from sums, 1 h": "no model's updates are summed here",
    "Evidence that did not verify, 15 min": "no roots of platforms are set up",
    "Time to verify": "the same",
    "Requests for secrets, 15 min": "no secret is kept here",
    "Questions to the store": "one machine counts for itself",
    "Latency of a group of them": "the same",
}
"""Panels that have nothing to show here, and why."""

ZERO: dict[str, str] = {
    "Alerts that fire": "no rule that alerts is evaluated",
    "Records lost, 1 h": "the store is not broken",
    "Calls to OPA": "they flow again",
    "Waiting for OPA": "it keeps up with a handful of requests",
    "Waiting for the store": "so does the store",
    "Workers": "one process serves",
    "Witnesses that cosigned it": "no witness is set up",
    "Found rewritten": "nobody changes the log",
    "Policy did not say how to judge, 5 min": "it does, unless it is asked while OPA is away",
    "Policy did not say what to keep out, 1 h": "the same",
    "Versions told of, 1 day": "nobody signs models here",
    "Secure sums, 1 h": "no model's updates are summed here",
    "Platforms proven": "no roots of platforms are set up",
    "Evidence and challenges, 15 min": "the same",
    "Age of the oldest proof": "the same",
    "Secrets registered and withdrawn, 1 d": "no secret is kept here",
}
"""Panels that show a zero here, and why."""


@dataclass(frozen=True)
class Watched:
    """A control plane that things happened to, and the Prometheus that saw it."""

    traffic: Traffic
    address: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what Prometheus answers."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, expr: str) -> list[float]:
        """Return the newest values of a panel's query, variables replaced as for everything."""
        found = self.ask("query", query=substituted(expr))["result"]
        return [value for one in found if (value := float(one["value"][1])) == value]


def substituted(text: str) -> str:
    """Return a query with the dashboard's variables replaced by what they are at first."""
    return re.sub(r"\$(job|instance|segment|aggregator|gateway|router)\b", ".*", text).replace("$__rate_interval", "2m")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    try:
        ensure_promtool()
    except PromtoolMissing as missing:
        pytest.skip(str(missing))
    program = find_prometheus()
    if program is None:
        pytest.skip("there is a promtool, but no prometheus beside it")
    folder = tmp_path_factory.mktemp("watched")
    with (
        traffic(folder) as busy,
        served(busy.guard) as aggregator,
        served_by_gateway(busy.gateway_metrics.registry) as gateway,
        served_by_router(RouterCollector(lambda: busy.router), "127.0.0.1", 0) as router,
        following(busy.gateway),
        following_changes(busy.admin),
    ):
        address = f"127.0.0.1:{free_port()}"
        configure(folder, busy, aggregator, {"gateways": gateway, "routers": router})
        command = [str(program), f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={address}"]
        command += [f"--storage.tsdb.path={folder / 'data'}", "--enable-feature=exemplar-storage"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            watched = Watched(busy, address)
            busy.shadow()
            see(watched)
            busy.burst()
            busy.release()
            see(watched)
            busy.burst()
            busy.compare()
            see(watched)
            yield watched
        finally:
            process.terminate()
            process.wait(timeout=10)


def configure(folder: Path, busy: Traffic, aggregator: str, others: dict[str, str]) -> None:
    """Have Prometheus look every second at all of them, and record what our rules record."""
    for number, path in enumerate(sorted(MONITORING.rglob("*.yml"))):
        groups = yaml.safe_load(path.read_text()).get("groups", ())
        recording = [
            {**one, "interval": "1s", "rules": [rule for rule in one["rules"] if "record" in rule]}
            for one in groups
            if "rules" in one
        ]
        (folder / f"rules-{number}.yml").write_text(
            yaml.safe_dump({"groups": [one for one in recording if one["rules"]]})
        )
    token = {"credentials": busy.plane.services.access.metrics_token}
    jobs = [("ztfm", busy.plane.listens, {"authorization": token}), ("ztfm-aggregators", aggregator, {})]
    jobs += [(f"ztfm-{name}", url, {}) for name, url in others.items()]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(folder / "rules-*.yml")],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [urllib.parse.urlsplit(url).netloc]}], **more}
            for name, url, more in jobs
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))


def see(watched: Watched) -> None:
    """Wait until Prometheus has looked some times more, each time got an answer from all, and recorded what it saw."""
    since = time.time()

    def looked() -> bool:
        try:
            newest, standing = watched.values("min(timestamp(up))"), watched.values("min(min_over_time(up[2500ms]))")
        except OSError:
            return False
        return newest > [since + 2.6] and standing == [1.0]

    wait_until(looked, 60, "Prometheus to look and everybody to answer")


def rows(watched: Watched, target: dict[str, Any], decision: str = "") -> list[dict[str, Any]]:
    """Return what a table's request brings, columns by title: asked and read as the Infinity data source does it."""
    now = time.time()
    chosen = {
        "${__from:date:seconds}": f"{now - 3600:.0f}",
        "${__to:date:seconds}": f"{now + 1:.0f}",
        "${decision}": decision,
    }
    given = {one["key"]: chosen.get(one["value"], one["value"]) for one in target["url_options"]["params"]}
    path = target["url"].replace("${decision}", decision) + ("?" + urllib.parse.urlencode(given) if given else "")
    plane, shown = watched.traffic.plane, {"Authorization": f"Bearer {watched.traffic.auditor()}"}
    answer = plane.call(target["url_options"]["method"], path, headers=shown).expect(200)
    found = answer[target["root_selector"]] if target["root_selector"] else [answer]
    return [{one["text"]: selected(row, one["selector"]) for one in target["columns"]} for row in found]


def selected(row: Any, selector: str) -> Any:
    """Return what a gjson path selects: names, ``#`` for each of a list, and ``@tostr``, which makes text of it."""
    path, _, modifier = selector.partition("|")
    assert modifier in ("", "@tostr")
    first, _, rest = path.partition(".#.")
    value = [selected(item, rest) for item in row[first]] if rest else row[first]
    return json.dumps(value) if modifier else value


@pytest.mark.parametrize(("uid", "panel"), PROMETHEUS, ids=[f"{uid} {panel['title']}" for uid, panel in PROMETHEUS])
def test_a_panel_shows_something(watched: Watched, uid: str, panel: dict[str, Any]) -> None:
    def values() -> list[float]:
        return [value for target in panel["targets"] for value in watched.values(target["expr"])]

    if panel["title"] in EMPTY:
        assert values() == [], "it shows something: take it off the list"
    elif panel["title"] in ZERO:
        assert values()
    else:
        # A look of Prometheus may come too late where processors are short; the next one does not.
        wait_until(lambda: any(values()), 15, f"{panel['title']} to show more than zero")


def test_the_lists_of_what_is_empty_and_of_what_is_zero_name_panels_that_are_there() -> None:
    assert EMPTY.keys() | ZERO.keys() <= {panel["title"] for _, panel in PROMETHEUS}
    assert len(EMPTY) <= 9
    assert len(ZERO) <= 16


@pytest.mark.parametrize("uid", ["ztfm-overview", "ztfm-decisions"])
def test_the_latest_denied_decisions_come_from_the_log_and_lead_to_why(watched: Watched, uid: str) -> None:
    (table,) = [panel for found, panel in LOG if found == uid and panel["title"] == "Latest denied decisions"]
    denied, failed = (rows(watched, target) for target in table["targets"])
    assert {row["Outcome"] for row in denied} == {"deny"}
    assert {row["Outcome"] for row in failed} == {"error"}
    (budget,) = [row for row in denied if "tokens_within_budget" in row["Missing"]][:1]
    why, record = [
        panel["targets"][0] for _, panel in LOG if panel is not table and panel["targets"][0]["url"].endswith("}")
    ]
    missing = rows(watched, why, budget["Decision"])
    assert "tokens_within_budget" in {row["Requirement"] for row in missing}
    assert all(row["What helps"] for row in missing)
    (one,) = rows(watched, record, budget["Decision"])
    assert (one["Subject"], one["Outcome"]) == (budget["Subject"], "deny")
    assert json.loads(one["Facts"])["context"]["inference"]["max_output_tokens"] == GREEDY


def test_who_may_read_the_log_for_grafana_may_nothing_else(watched: Watched) -> None:
    plane, shown = watched.traffic.plane, {"Authorization": f"Bearer {watched.traffic.auditor()}"}
    device = plane.enrol("trainer")
    for method, path, document in (
        ("GET", "/metrics", None),
        ("GET", f"/v1/devices/{device.id}", None),
        ("POST", f"/v1/devices/{device.id}/status", {"status": "quarantined", "reason": "odd"}),
        ("GET", "/v1/policies", None),
        ("POST", "/v1/enrolment-tokens", {"roles": ["trainer"], "segment": "homes"}),
    ):
        assert plane.call(method, path, document, headers=shown).kind == "denied", path


@pytest.mark.parametrize("expr", sorted({one["target"]["expr"] for one in MARKS}))
def test_a_policy_that_began_to_decide_is_marked_when_it_did(watched: Watched, expr: str) -> None:
    moments = watched.values(expr)
    assert moments
    assert all(0 < time.time() - moment / 1000.0 < 600.0 for moment in moments)


def test_every_variable_has_something_to_choose(watched: Watched) -> None:
    asked = {
        one["query"]["query"] for found in DOCUMENTS for one in found["templating"]["list"] if one["type"] == "query"
    }
    found = {}
    for query in asked:
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        found[label] = watched.ask(f"label/{label}/values", **{"match[]": substituted(series)})
    assert found["job"] == ["ztfm"]
    assert "homes" in found["segment"]
    assert all(found.values())


def test_a_dot_on_a_graph_is_a_decision_that_is_on_record(watched: Watched) -> None:
    graphs = [target["expr"] for _, panel in PROMETHEUS for target in panel["targets"] if target["exemplar"]]
    now = time.time()
    for expr in graphs:
        series = watched.ask("query_exemplars", query=substituted(expr), start=f"{now - 600:.0f}", end=f"{now:.0f}")
        decisions = {dot["labels"]["decision_id"] for one in series for dot in one["exemplars"]}
        assert decisions, expr
        assert watched.traffic.operator.get(f"/v1/decisions/{decisions.pop()}").status == 200
