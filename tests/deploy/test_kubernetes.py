"""The manifests for Kubernetes: rendered by kustomize, judged by published schemas, and by what the code knows."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from controlplane.api.application import ROUTES
from controlplane.capabilities.keyfiles import read_private
from controlplane.settings import Settings
from controlplane.witnessing import KEY_FILE
from tests.deploy import rules
from tests.deploy.manifests import FOLDERS, KUBERNETES, containers, objects, one, pods
from tests.deploy.stack import services
from tests.docs.test_commands import unknown
from tests.servers.kustomize import KustomizeMissing, ensure_kustomize
from tests.servers.promtool import PromtoolMissing, ensure_promtool
from tests.servers.schemas import SchemaMissing, of_kubernetes, of_prometheus_operator

KINDS = {
    "Namespace": "core.v1.Namespace",
    "ServiceAccount": "core.v1.ServiceAccount",
    "ConfigMap": "core.v1.ConfigMap",
    "Service": "core.v1.Service",
    "Deployment": "apps.v1.Deployment",
    "Job": "batch.v1.Job",
    "PodDisruptionBudget": "policy.v1.PodDisruptionBudget",
    "NetworkPolicy": "networking.v1.NetworkPolicy",
    "HorizontalPodAutoscaler": "autoscaling.v2.HorizontalPodAutoscaler",
}
OPERATOR = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}


@pytest.fixture(scope="module", autouse=True)
def kustomize() -> None:
    try:
        ensure_kustomize()
    except KustomizeMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    try:
        core, operator = of_kubernetes(*KINDS.values()), of_prometheus_operator(*OPERATOR.values())
    except SchemaMissing as missing:
        pytest.skip(str(missing))
    schemas = {kind: core[name] for kind, name in KINDS.items()} | {
        kind: operator[name] for kind, name in OPERATOR.items()
    }
    return {kind: jsonschema.Draft202012Validator(schema) for kind, schema in schemas.items()}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_fits_its_published_schema(published: dict[str, Any], folder: str) -> None:
    found = objects(folder)
    assert len(found) >= 10
    for each in found:
        problems = [f"{error.json_path}: {error.message}" for error in published[each["kind"]].iter_errors(each)]
        assert problems == [], each["kind"]
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "ztfm"


def test_the_schemas_tell_a_wrong_object(published: dict[str, Any]) -> None:
    monitor = one("overlays/monitoring", "ServiceMonitor")
    wrong = {**monitor, "spec": {**monitor["spec"], "endpoint": []}}
    assert any("endpoint" in error.message for error in published["ServiceMonitor"].iter_errors(wrong))
    deployment = one("base", "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    assert any("replica" in error.message for error in published["Deployment"].iter_errors(wrong))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_container_has_no_more_rights_than_it_needs(folder: str) -> None:
    for name, pod in pods(folder).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, "a Service named ztfm would make settings of its own"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all({"emptyDir", "secret"} & volume.keys() for volume in pod["volumes"])
    for name, container in containers(folder):
        security = container["securityContext"]
        assert security == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"]["limits"]["memory"]
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert one(folder, "ServiceAccount")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("folder", FOLDERS)
def test_secrets_are_named_and_never_there(folder: str) -> None:
    assert not [each for each in objects(folder) if each["kind"] == "Secret"]
    for _, container in containers(folder):
        for item in container.get("env", ()):
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY|URL", item["name"]):
                is_file = item["name"].endswith("_FILE") and item.get("value", "").startswith(
                    ("/secrets/", "/run/ztfm/")
                )
                assert is_file or item.get("valueFrom", {}).get("secretKeyRef"), item["name"]
    settings = one(folder, "ConfigMap")["data"]
    assert not re.search(r"password|secret|token|://[^/]*@", str(settings), re.IGNORECASE)


def settings_of(container: dict[str, Any], folder: str) -> dict[str, str]:
    found = {item["name"]: item.get("value", "postgresql+asyncpg://u:p@h/n") for item in container.get("env", ())}
    if container.get("envFrom"):
        found |= one(folder, "ConfigMap")["data"]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_setting_is_one_and_every_command_line_parses(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"ZTFM_{name.upper()}" for name in Settings.model_fields}
    commands = set()
    for _, container in containers(folder):
        if not container["image"].partition(":")[0].endswith("ztfm/controlplane") or "command" in container:
            continue
        commands.add(" ".join(container["args"][:2]))
        stated = settings_of(container, folder)
        assert stated.keys() <= known, container["name"]
        with monkeypatch.context() as patch:
            for name, value in stated.items():
                patch.setenv(name, value)
            Settings()
        assert unknown(list(container["args"])) == ""
    assert commands == {"serve", "sidecar prepare", "store migrate"}


def test_opa_runs_as_it_does_with_compose() -> None:
    [opa] = [container for _, container in containers("base") if container["name"] == "opa"]
    theirs = services()["opa"]
    assert opa["args"] == theirs["command"]
    assert {item["name"]: item["value"] for item in opa["env"]} == theirs["environment"]
    assert opa["restartPolicy"] == "Always", "a sidecar: it begins before the control plane and ends after it"


def paths(container: dict[str, Any]) -> Iterator[str]:
    words = [*container.get("args", ()), *(str(item.get("value", "")) for item in container.get("env", ()))]
    for word in words:
        yield from re.findall(r"(?<![\w/])/(?:run|var|secrets)/[\w./-]+", word)


def test_every_path_lies_in_a_mounted_volume_and_every_volume_is_there() -> None:
    for name, container in containers("base"):
        volumes = {volume["name"] for volume in pods("base")[name]["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} <= volumes
        for path in paths(container):
            place = next((one for one in mounts if path == one or path.startswith(f"{one}/")), None)
            assert place is not None, f"{container['name']}: {path}"
    writers = {
        container["name"]
        for _, container in containers("base")
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/run/ztfm-bundles" and not mount.get("readOnly")
    }
    assert writers == {"controlplane"}, "what it brings OPA may read and nobody else writes"


def test_the_keys_have_the_names_that_the_control_plane_looks_for(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    [keys] = [container for _, container in containers("base") if container["name"] == "keys"]
    wanted = {
        settings.resolved_sealing_key_file,
        settings.resolved_policy_key_file,
        settings.resolved_organisation_key_file,
        settings.resolved_authority_file,
        tmp_path / KEY_FILE,
    }
    assert {tmp_path / Path(word).name for word in keys["args"] if word.startswith("/secrets/")} == wanted
    assert "--mode=0600" in keys["args"]
    (tmp_path / "copied").touch(mode=0o600)
    assert read_private(tmp_path / "copied") == b""


def test_probes_ask_for_routes_and_ports_that_there_are() -> None:
    routes = {route.path for route in ROUTES}
    [plane] = pods("base")["ztfm"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in plane["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = plane[probe]["httpGet"]
        assert asked["path"] in routes
        assert asked["port"] in ports
        assert asked["scheme"] == "HTTPS", "it serves TLS alone"
    assert plane["readinessProbe"]["httpGet"]["path"] == "/readyz"
    stated = settings_of(plane, "base")
    assert str(ports["https"]) == stated["ZTFM_LISTEN_PORT"]
    assert one("base", "Service")["spec"]["ports"][0]["targetPort"] in ports
    started = plane["startupProbe"]
    assert started["periodSeconds"] * started["failureThreshold"] > Settings().start_seconds


def test_the_end_leaves_time_for_what_is_under_way() -> None:
    pod = pods("base")["ztfm"]
    [plane] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] >= plane["lifecycle"]["preStop"]["sleep"]["seconds"] + 5 + 10
    assert one("base", "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_reached_but_what_is_named(folder: str) -> None:
    policies = [each for each in objects(folder) if each["kind"] == "NetworkPolicy"]
    [denies] = [each for each in policies if each["spec"]["podSelector"] == {}]
    assert denies["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labels = {name: each["metadata"]["labels"] for name, each in templates(folder).items()}
    ports = {port["name"] for port in pods(folder)["ztfm"]["containers"][0]["ports"]}
    for each in (item for item in policies if item is not denies):
        wanted = each["spec"]["podSelector"]["matchLabels"].items()
        assert any(wanted <= found.items() for found in labels.values()), each["metadata"]["name"]
        for rule in (*each["spec"].get("ingress", ()), *each["spec"].get("egress", ())):
            assert rule.get("from") or rule.get("to"), "nobody in particular is everybody"
            assert {port["port"] for port in rule["ports"]} <= {*ports, 53, 5432}
    store = next(each for each in policies if each["metadata"]["name"] == "to-the-store")
    wanted = store["spec"]["podSelector"]["matchLabels"].items()
    assert all(wanted <= found.items() for found in labels.values()), "who has the URL of the store reaches it"


def templates(folder: str) -> dict[str, Any]:
    found = [item for item in objects(folder) if "template" in item.get("spec", {})]
    return {item["metadata"]["name"]: item["spec"]["template"] for item in found}


def test_who_scales_finds_what_it_scales_by() -> None:
    scaler = one("overlays/production", "HorizontalPodAutoscaler")["spec"]
    deployment = one("overlays/production", "Deployment")
    assert "replicas" not in deployment["spec"], "or each rollout would put its number back"
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    pod = deployment["spec"]["template"]["spec"]
    requested = {
        one["name"] for one in (*pod["initContainers"], *pod["containers"]) if "cpu" in one["resources"]["requests"]
    }
    metrics = scaler["metrics"]
    by_cpu = {item["containerResource"]["container"] for item in metrics if item["type"] == "ContainerResource"}
    assert by_cpu == {"controlplane", "opa"} <= requested
    [rule] = yaml.safe_load((KUBERNETES / "components" / "autoscaling" / "prometheus-adapter.yaml").read_text())
    [by_metric] = [item["pods"]["metric"]["name"] for item in metrics if item["type"] == "Pods"]
    assert rule["name"]["as"] == by_metric


def test_the_percentile_is_that_of_each_pod_and_nothing_where_nothing_is_decided(tmp_path: Path) -> None:
    try:
        promtool = ensure_promtool()
    except PromtoolMissing as missing:
        pytest.skip(str(missing))
    [rule] = yaml.safe_load((KUBERNETES / "components" / "autoscaling" / "prometheus-adapter.yaml").read_text())
    asked = rule["metricsQuery"]
    for there, here in (
        ("<<.Series>>", "ztfm_decision_duration_seconds_bucket"),
        ("<<.LabelMatchers>>", 'namespace="ztfm",pod=~"ztfm-a|ztfm-b"'),
        ("<<.GroupBy>>", "namespace, pod"),
    ):
        asked = asked.replace(there, here)
    names = 'ztfm_decision_duration_seconds_bucket{action="%s",namespace="ztfm",pod="%s",le="%s"}'
    series = [
        {"series": names % (action, pod, le), "values": f"0+{each}x20"}
        for action, pod, le, each in (
            ("inference", "ztfm-a", "0.04", 50),
            ("inference", "ztfm-a", "0.08", 100),
            ("inference", "ztfm-a", "+Inf", 100),
            ("inference", "ztfm-b", "0.04", 0),
            ("inference", "ztfm-b", "+Inf", 0),
            ("search", "ztfm-b", "0.04", 0),
            ("search", "ztfm-b", "+Inf", 1000),
        )
    ]
    wanted = [
        {"labels": f'{{namespace="ztfm", pod="ztfm-{pod}"}}', "value": value}
        for pod, value in (("a", 0.0792), ("b", 0))
    ]
    case = {"expr": asked, "eval_time": "10m", "exp_samples": wanted}
    tests = {"rule_files": [], "tests": [{"interval": "30s", "input_series": series, "promql_expr_test": [case]}]}
    (tmp_path / "case.yml").write_text(yaml.safe_dump(tests))
    command = [str(promtool), "test", "rules", str(tmp_path / "case.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_those_of_the_monitoring_folder() -> None:
    assert rules.WRITTEN.read_text() == rules.document(), "run `python -m tests.deploy.rules`"
    alerts = {rule["alert"] for group in rules.groups() for rule in group["rules"] if "alert" in rule}
    assert len(alerts) > 30
    assert not alerts & rules.LEFT_OUT


def test_prometheus_finds_the_pods_and_shows_the_token_that_they_ask_for() -> None:
    monitor = one("overlays/monitoring", "ServiceMonitor")["spec"]
    service = one("overlays/monitoring", "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "ztfm", "rules and dashboards name this job"
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    token = endpoint["authorization"]["credentials"]
    pod = pods("overlays/monitoring")["ztfm"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mount = next(mount for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == "/secrets/tokens")
    assert volumes[mount["name"]]["secret"]["secretName"] == token["name"]
    assert settings_of(pod["containers"][0], "base")["ZTFM_METRICS_TOKEN_FILE"] == f"/secrets/tokens/{token['key']}"


def test_your_own_images_and_settings_take_the_place_of_ours() -> None:
    images = {container["image"] for _, container in containers("overlays/production")}
    assert all(image.startswith("registry.example.org/") for image in images)
    assert one("overlays/production", "ConfigMap")["data"]["ZTFM_FEDERATION"] == "production"
