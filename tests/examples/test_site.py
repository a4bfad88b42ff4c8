import os
from pathlib import Path

from adapters.site.policy import LIMITS
from controlplane.authoring import Tools, check, open_folder, run_tests
from controlplane.bundles.embedded import CompiledPolicy
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "examples" / "site"


def test_the_house_holds_and_makes_a_bundle_that_decides_at_the_house() -> None:
    opa = locate_opa(os.environ)
    folder = open_folder(SITE, ROOT / "policies", "site")
    found = [item for done in check(Tools(opa.path), folder, lint=False) for item in done.findings]
    tested = run_tests(Tools(opa.path), folder)
    assert (found, tested.findings, tested.examples) == ([], [], 6)
    policy = CompiledPolicy(build(opa, SITE, "site").files["embedded.wasm"], {})
    assert policy.entrypoints >= {"site/batch/answers", LIMITS}
    policy.close()
