"""Writes the dashboards, or says whether they are as they would be written.

python -m monitoring.grafana.build            # writes dashboards/*.json
python -m monitoring.grafana.build --check    # writes nothing; 1 when a file is out of date
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from monitoring.grafana import decisions, devices, federation, gateways, health, inference, overview, policy
from monitoring.grafana.panels import Dashboard
from monitoring.grafana.rendering import rendered

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS: tuple[Dashboard, ...] = (
    overview.DASHBOARD,
    decisions.DASHBOARD,
    federation.DASHBOARD,
    devices.DASHBOARD,
    policy.DASHBOARD,
    health.DASHBOARD,
    inference.DASHBOARD,
    gateways.DASHBOARD,
)
"""In the order in which they link to one another."""


def render() -> dict[str, str]:
    """Return the dashboards' JSON by file name, as it is kept in the repository."""
    return {
        f"{dashboard.uid}.json": json.dumps(rendered(dashboard, DASHBOARDS), indent=2) + "\n"
        for dashboard in DASHBOARDS
    }


def outdated(folder: Path = FOLDER) -> list[str]:
    """Return the names of files in a folder that are missing, differ, or are no dashboard of ours."""
    written = render()
    there = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in written.keys() | there.keys() if written.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> list[str]:
    """Make a folder hold the dashboards and nothing else; return the names of what changed."""
    changed, written = outdated(folder), render()
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in written:
            (folder / name).write_text(written[name])
        else:
            (folder / name).unlink()
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the dashboards, or with ``--check`` return 1 when a file is not what would be written."""
    parser = argparse.ArgumentParser(
        description="Write the Grafana dashboards.", epilog="example: python -m monitoring.grafana.build --check --json"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file is out of date")
    parser.add_argument("--json", action="store_true", help="print the names of the files as JSON")
    asked = parser.parse_args(arguments)
    changed = outdated() if asked.check else write()
    if asked.json:
        print(json.dumps({"outdated" if asked.check else "written": changed}))
    else:
        print("\n".join(changed) or "all dashboards are up to date")
    return 1 if asked.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
