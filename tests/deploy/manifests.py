"""The manifests of deploy/kubernetes as kustomize renders them, and their pod's containers as processes."""

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.stack import ROOT, Stack
from tests.servers.kustomize import rendered

KUBERNETES = ROOT / "deploy" / "kubernetes"
FOLDERS = ("base", "overlays/monitoring", "overlays/production")


@cache
def objects(folder: str) -> tuple[dict[str, Any], ...]:
    """Return the objects of a folder."""
    return tuple(rendered(KUBERNETES / folder))


def one(folder: str, kind: str, name: str | None = None) -> dict[str, Any]:
    """Return the object of a kind, or the one of it with a name; a hash that was added to the name does not count."""
    [found] = [
        item
        for item in objects(folder)
        if item["kind"] == kind and (name is None or item["metadata"]["name"].startswith(name))
    ]
    return found


def pods(folder: str) -> dict[str, dict[str, Any]]:
    """Return the pods' specifications by the name of what makes them."""
    found = [item for item in objects(folder) if "template" in item.get("spec", {})]
    return {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in found}


def containers(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every container with the name of what makes its pod."""
    for name, pod in pods(folder).items():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield name, container


@dataclass
class Pod(Stack):
    """The Deployment's pod, and the Job, in a folder with a short path: their own commands, files and probes.

    Attributes:
        secrets: what Secrets hold, by name and key, where it comes in as a variable.
    """

    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def container(self, name: str) -> dict[str, Any]:
        """Return a container by its name."""
        [found] = [container for _, container in containers("base") if container["name"] == name]
        return found

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """Run a container to its end."""
        command, environment = self.command(service), self.environment(service)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def command(self, service: str) -> list[str]:
        """Return the image's entry point, or what stands in its place, with the container's arguments."""
        stated = self.container(service)
        image = [str(ROOT / "opa" / "start.sh")] if service == "opa" else [str(self.folder / "bin" / "ztfm")]
        extra = [f"--publisher-url=http://127.0.0.1:{self.publisher_port}"] if service == "prepare" else []
        return [*stated.get("command", image), *(self._here(word) for word in stated.get("args", ())), *extra]

    def environment(self, service: str) -> Mapping[str, str]:
        """Return the container's environment, its references looked up."""
        stated = self.container(service)
        found = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "ZTFM_OPA_PUBLISHER_PORT": str(self.publisher_port)}
        for source in stated.get("envFrom", ()):
            found |= one("base", "ConfigMap", source["configMapRef"]["name"])["data"]
        for item in stated.get("env", ()):
            found[item["name"]] = self._here(item["value"]) if "value" in item else self._referred(item)
        if "ZTFM_PUBLIC_URL" in found:
            found["ZTFM_PUBLIC_URL"] = self.url
        return found

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask the control plane as a probe does: nobody looks at its certificate."""
        request = urllib.request.Request(self.url + path, headers=headers)
        unverified = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(request, timeout=5, context=unverified) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def is_healthy(self, service: str) -> bool:
        """Run a container's own probe, once: that of readiness, or the one that it starts with."""
        stated = self.container(service)
        probe = stated.get("readinessProbe", stated["startupProbe"])
        if "httpGet" in probe:
            try:
                return self.get(probe["httpGet"]["path"])[0] == 200
            except OSError:
                return False
        command = [self._here(word) for word in probe["exec"]["command"]]
        environment = self.environment(service)
        done = subprocess.run(command, env=environment, capture_output=True, timeout=10, check=False)
        return done.returncode == 0

    def _referred(self, item: dict[str, Any]) -> str:
        reference = item["valueFrom"]["secretKeyRef"]
        return self.secrets[reference["name"], reference["key"]]

    def _here(self, word: str) -> str:
        return super()._here(word).replace("/secrets/", f"{self.folder}/secrets/")


def keys_of(state: Path) -> list[Path]:
    """Return the keys that the first start of a control plane left in its state folder, as the pod wants them."""
    [container] = [container for _, container in containers("base") if container["name"] == "keys"]
    return [state / Path(word).name for word in container["args"] if word.startswith("/secrets/keys/")]
