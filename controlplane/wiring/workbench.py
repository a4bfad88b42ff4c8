"""The policy workbench: drafts are tried with the OPA and the linter of this machine."""

import os

from controlplane.authoring.tools import locate_linter
from controlplane.bundles import Trust
from controlplane.history.workbench.bench import Bench, Installed
from controlplane.history.workbench.drafts import Drafts
from controlplane.history.workbench.trials import Trials, TrialTools
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder, tools_folder
from controlplane.wiring.common import Common


def wire_workbench(common: Common, trust: Trust) -> Bench:
    """Return what tries policies."""
    store, built_in = common.store, product_folder("policies")
    folder = common.settings.policies or built_in
    tools = TrialTools(lambda: locate_opa(os.environ), lambda: locate_linter(os.environ, tools_folder()))
    drafts = Drafts(store.releases, trust, folder)
    return Bench(drafts, Trials(tools), store.decisions, store.releases, trust, Installed(folder, built_in))
