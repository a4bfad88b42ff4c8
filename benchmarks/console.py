"""How fast the console is for people: ``python -m benchmarks.console --json``.

A real Chromium before a real control plane whose store has 10,000 devices and 100,000 decisions. Timed are the first
visit with nothing cached until the page of decisions shows its rows (``load_ms``), opening the fleet from there
(``open_ms``), and frames while the list is scrolled as a person does (``frame_p95_ms``; 17 is every frame of a screen
of 60 Hz). ``compressed_bytes`` is what that first visit brought over the connection.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from controlplane.telemetry import configure_logs
from tests.console.fleets import add_many
from tests.console.recording import record_many
from tests.console.signing_in import signed_in
from tests.servers.chromium import arguments, ensure_chromium
from tests.support import Caller, ControlPlane, running

WINDOW = {"width": 1280, "height": 800}

_FRAMES = """
async list => {
  const body = list.querySelector('.rows-body');
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let turn = 0; turn < 120; turn++) {
    body.scrollTop += 120;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}
"""


def visit(browser: Browser, plane: ControlPlane, caller: Caller) -> dict[str, float]:
    """Return what one person waits for, who was never here before."""
    context: BrowserContext = browser.new_context(base_url=plane.url, viewport=WINDOW)  # type: ignore[arg-type]
    signed_in(context, plane, caller)
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        began = time.perf_counter()
        page.goto("/console/decisions")
        wait_for_rows(page)
        loaded = time.perf_counter()
        size: float = page.evaluate(
            "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
            ".filter(one => one.name.includes('/console/')).reduce((sum, one) => sum + one.encodedBodySize, 0)"
        )
        frames = page.locator(".rows").first.evaluate(_FRAMES)
        began_fleet = time.perf_counter()
        page.get_by_role("link", name="Fleet").click()
        page.get_by_role("table", name="Devices").wait_for()
        wait_for_rows(page)
        opened = time.perf_counter()
    finally:
        context.close()
    return {
        "load_ms": (loaded - began) * 1000,
        "open_ms": (opened - began_fleet) * 1000,
        "frame_p95_ms": statistics.quantiles(frames, n=20)[-1],
        "compressed_bytes": size,
    }


def wait_for_rows(page: Page) -> None:
    """Wait until rows of a list are in sight."""
    page.locator(".rows-body .row").first.wait_for()


def measure(devices: int, decisions: int, visits: int) -> dict[str, Any]:
    """Return the medians of several visits, with what was visited."""
    with (
        tempfile.TemporaryDirectory() as state,
        running(state=Path(state), ledger_seconds=3600.0) as plane,
        sync_playwright() as playwright,
    ):
        administrator = plane.enrol("administrator")
        add_many(plane, devices)
        record_many(plane, decisions)
        browser = playwright.chromium.launch(executable_path=ensure_chromium(), args=arguments())
        visit(browser, plane, administrator)
        found = [visit(browser, plane, administrator) for _ in range(visits)]
        browser.close()
    medians = {name: round(statistics.median(one[name] for one in found), 1) for name in found[0]}
    return {"devices": devices, "decisions": decisions, "visits": visits, **medians}


def main() -> int:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__.split("\n")[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5, help="Visits of which the medians are taken.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    given = parser.parse_args()
    configure_logs("error")
    found = measure(given.devices, given.decisions, given.runs)
    if given.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:18} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
