"""The policy author's tools: make a decision, check it, test it, ask it and describe it."""

from controlplane.authoring.checking import Checked, check
from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.explaining import Explanation, explain
from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.layerfolder import LayerFolder, open_folder
from controlplane.authoring.reference import write_reference
from controlplane.authoring.requesting import read_request
from controlplane.authoring.scaffolding import create, start_folder
from controlplane.authoring.scaffolding_layers import create_layer
from controlplane.authoring.testing import Results, run_tests
from controlplane.authoring.tools import Tools

__all__ = [
    "AuthoringError",
    "Checked",
    "Explanation",
    "Finding",
    "LayerFolder",
    "PolicyFolder",
    "Results",
    "Tools",
    "check",
    "create",
    "create_layer",
    "explain",
    "open_folder",
    "read_request",
    "run_tests",
    "start_folder",
    "write_reference",
]
