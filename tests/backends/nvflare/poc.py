"""NVFLARE's proof-of-concept mode, as a program in NVFLARE's environment: provision sites, then run a job on them.

python -m tests.backends.nvflare.poc provision FOLDER PORT
python -m tests.backends.nvflare.poc run FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from nvflare.fuel.flare_api.flare_api import new_secure_session
from nvflare.tool.poc.poc_commands import prepare_poc_provision

from examples.nvflare_job import job

SITES = ("site-1", "site-2")
STRANGER = "site-3"
ADMIN = "admin@nvidia.com"
AUDIENCE = "aggregator-1"
ROUNDS = 2


def provision(folder: Path, port: int) -> None:
    """Make the startup kits, and add what guards each site to its resources."""
    clients = [*SITES, STRANGER]
    people = [{"name": ADMIN, "type": "admin", "org": "nvidia", "role": "project_admin"}]
    server = {"name": "server", "type": "server", "org": "nvidia", "default_host": "localhost", "fed_learn_port": port}
    sites = [{"name": name, "type": "client", "org": "nvidia"} for name in clients]
    lighter = "nvflare.lighter.impl"
    builders = [
        {"path": f"{lighter}.workspace.WorkspaceBuilder", "args": {"template_file": ["master_template.yml"]}},
        {"path": f"{lighter}.static_file.StaticFileBuilder", "args": {"config_folder": "config"}},
        {"path": f"{lighter}.cert.CertBuilder"},
        {"path": f"{lighter}.signature.SignatureBuilder"},
    ]
    project = {"api_version": 3, "name": "project", "participants": [server, *people, *sites], "builders": builders}
    given = folder / "project.yml"
    given.write_text(yaml.safe_dump(project))
    prepare_poc_provision(
        clients=clients,
        number_of_clients=len(clients),
        workspace=str(folder / "poc"),
        docker_image=None,
        project_conf_path=str(given),
    )
    kits = folder / "poc" / "project" / "prod_00"
    _add(kits / "server", {"id": "registration", "path": "Registration", "args": {"audience": AUDIENCE}})
    for name in clients:
        _add(kits / name, {"id": "introducing", "path": "Introducing", "args": {"audience": AUDIENCE}})
        _add(kits / name, {"id": "commands", "path": "CommandCheck", "args": {}})
    (folder / "kits").symlink_to(kits)


def _add(kit: Path, component: dict[str, Any]) -> None:
    made = kit / "local" / "resources.json"
    shipped = kit / "local" / "resources.json.default"
    resources = json.loads((made if made.exists() else shipped).read_text())
    resources["components"].append({**component, "path": f"adapters.nvflare.{component['path']}"})
    if "adapters.nvflare." not in resources["class_allow_list"]:
        resources["class_allow_list"].append("adapters.nvflare.")
    made.write_text(json.dumps(resources, indent=2))


def run(folder: Path) -> None:
    """Submit the example, wait for its end, and leave what came of it."""
    kits = folder / "kits"
    point = job.GuardPoint(audience=AUDIENCE, model=job.MODEL)
    recipe = job.recipe(point, "local/identity", len(SITES), ROUNDS, script=Path(__file__).with_name("client.py"))
    recipe.export(str(folder / "jobs"))
    session = new_secure_session(ADMIN, str((kits / ADMIN).resolve()), timeout=60.0)
    try:
        job_id = session.submit_job(str(folder / "jobs" / "corners"))
        outcome = session.monitor_job(job_id, timeout=140.0, poll_interval=1.0)
        clients = sorted(one.name for one in session.get_system_info().client_info)
        try:
            read = session.cat_target("site-1", file="local/identity/identity.json")
        except Exception as error:  # noqa: BLE001 - the refusal is what is looked for
            read = f"{type(error).__name__}: {error}"
        result = Path(session.download_job_result(job_id, str(folder / "downloads")))
    finally:
        session.close()
    (report,) = result.rglob("ztfm.json")
    ended = {"outcome": str(outcome), "clients": clients, "read": read, **json.loads(report.read_text())}
    (folder / "ended.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    if sys.argv[1] == "provision":
        provision(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run(Path(sys.argv[2]))
