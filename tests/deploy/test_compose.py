import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from controlplane.sidecar import OpaBinary
from controlplane.sidecar.configuring import EXPECTED
from controlplane.sidecar.folders import beside
from controlplane.sidecar.process import Sidecar, SidecarOptions
from tests.deploy.stack import COMPOSE, ROOT, services

SERVICES = services()
BUILT = {"prepare", "opa", "controlplane"}
DOCKERFILES = (ROOT / "Dockerfile", ROOT / "opa" / "Dockerfile")


def test_the_file_fits_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert service["mem_limit"]
    assert service["pids_limit"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - BUILT))
def test_images_from_elsewhere_are_pinned_by_version_and_digest(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", SERVICES[name]["image"])


def test_every_service_that_stays_has_a_health_check() -> None:
    staying = {name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"}
    assert staying == set(SERVICES) - {"prepare"}
    assert all(SERVICES[name]["healthcheck"]["test"][0] == "CMD" for name in staying)


def test_opa_and_what_prepares_it_have_no_network() -> None:
    assert SERVICES["opa"]["network_mode"] == "none"
    assert SERVICES["prepare"]["network_mode"] == "none"


def test_what_the_control_plane_brings_opa_may_read_and_nobody_else_writes() -> None:
    bundles = {name: mount for name in SERVICES for mount in SERVICES[name].get("volumes", ()) if "bundles:" in mount}
    assert bundles == {
        "prepare": "bundles:/run/ztfm-bundles",  # so that the volume is our user's
        "opa": "bundles:/run/ztfm-bundles:ro",
        "controlplane": "bundles:/run/ztfm-bundles",
    }
    assert SERVICES["controlplane"]["environment"]["ZTFM_BUNDLE_DIR"] == "/run/ztfm-bundles"
    assert SERVICES["opa"]["environment"]["ZTFM_OPA_BUNDLES"] == "/run/ztfm-bundles"
    assert SERVICES["opa"]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    assert SERVICES["controlplane"]["depends_on"] == {"opa": {"condition": "service_started"}}


def test_no_secret_is_in_the_file_and_none_has_a_default() -> None:
    stated = {
        name: str(value)
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|SECRET|TOKEN", name)
    }
    assert stated.pop("ZTFM_OPA_TOKEN_FILE").startswith("/run/ztfm/")
    assert stated.pop("ZTFM_METRICS_TOKEN_FILE").startswith("/run/ztfm-metrics/")
    assert stated.pop("ZTFM_ALERTS_TOKEN_FILE").startswith("/run/ztfm-alerts/")
    assert re.fullmatch(r"\$\{GRAFANA_ADMIN_PASSWORD:\?.+\}", stated.pop("GF_SECURITY_ADMIN_PASSWORD"))
    # Without them the tables of the decision log stay empty, and nothing else.
    for name in ("ZTFM_GRAFANA_TOKEN_URL", "ZTFM_GRAFANA_CLIENT_SECRET"):
        assert stated.pop(name) == f"${{{name}:-}}"
    assert stated == {}


def test_prometheus_shows_the_token_that_the_control_plane_asks_for() -> None:
    shared = "metrics-token"
    config = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    [scraping] = [item for item in config["scrape_configs"] if item["job_name"] == "ztfm"]
    assert scraping["authorization"] == {"credentials_file": f"token/{shared}"}
    assert "metrics:/etc/prometheus/token:ro" in SERVICES["prometheus"]["volumes"]
    assert SERVICES["prometheus"]["group_add"] == [SERVICES["controlplane"]["user"].split(":")[1]]
    held = SERVICES["controlplane"]["environment"]["ZTFM_METRICS_TOKEN_FILE"]
    assert held == f"/run/ztfm-metrics/{shared}"
    assert SERVICES["prepare"]["command"][-2:] == ["--metrics-token", held]


def test_nobody_looks_at_the_dashboards_without_an_account() -> None:
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert SERVICES["grafana"]["environment"]["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_grafana_fetches_the_one_plugin_that_it_needs_in_a_pinned_version() -> None:
    stated = SERVICES["grafana"]["environment"]
    assert re.fullmatch(r"yesoreyeram-infinity-datasource@\d+\.\d+\.\d+", stated["GF_PLUGINS_PREINSTALL"])
    assert stated["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"
    assert "GF_PLUGINS_PREINSTALL_DISABLED" not in stated, "it would keep the plugin out too"
    assert "GF_PLUGINS_PREINSTALL_SYNC" not in stated, "without a network Grafana would not start"
    assert all(name.endswith("-app") for name in stated["GF_PLUGINS_DISABLE_PLUGINS"].split(","))


def test_every_mounted_volume_is_declared_and_every_mounted_file_exists() -> None:
    declared = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, _, rest = mount.partition(":")
            if source.startswith("./"):
                assert (ROOT / source).exists(), mount
                assert rest.endswith(":ro"), mount
            else:
                assert source in declared, mount


def test_the_sidecar_runs_with_the_flags_that_the_control_plane_gives_its_own() -> None:
    own = Sidecar(SidecarOptions(OpaBinary(ROOT / "opa", (1, 22, 2), "PATH"), ROOT, beside()))
    names = [path.name for path in beside()]
    assert [word.rpartition("/")[2] for word in SERVICES["opa"]["command"]][-3:] == [*names, EXPECTED]
    assert set(_settings(own._command())) <= set(_settings(SERVICES["opa"]["command"]))


def _settings(command: list[str]) -> list[str]:
    return [word for word in command if word.startswith("--") and not word.startswith(("--addr", "--config-file"))]


def test_the_images_bring_the_opa_that_the_module_pins() -> None:
    pinned = re.search(r"github\.com/open-policy-agent/opa v(\S+)", (ROOT / "opa" / "go.mod").read_text())
    assert pinned is not None
    for path in DOCKERFILES:
        assert f"FROM openpolicyagent/opa:{pinned[1]}-static AS opa\n" in path.read_text()


@pytest.mark.parametrize("path", DOCKERFILES, ids=["controlplane", "opa"])
def test_an_image_is_built_from_pinned_ones_and_does_not_run_as_root(path: Any) -> None:
    text = path.read_text()
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert "@sha256:" in image or image.startswith("openpolicyagent/opa:"), image
    users = re.findall(r"^USER (\S+)", text, re.MULTILINE)
    assert users
    assert users[-1] == "10001:10001"


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == allowed
    assert all((ROOT / name).exists() for name in names)
