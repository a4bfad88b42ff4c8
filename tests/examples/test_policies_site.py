import os
from pathlib import Path

from controlplane.authoring import Tools, check, open_folder, run_tests
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "examples" / "policies-site"


def test_the_sites_policies_hold_and_make_a_bundle() -> None:
    opa = locate_opa(os.environ)
    folder = open_folder(SITE, ROOT / "policies", "site")
    found = [item for done in check(Tools(opa.path), folder, lint=False) for item in done.findings]
    tested = run_tests(Tools(opa.path), folder)
    assert (found, tested.findings, tested.examples) == ([], [], 3)
    assert set(build(opa, SITE, "site", wasm=False).files) > {"site/batch/batch.rego", "site/rules/answer.rego"}
