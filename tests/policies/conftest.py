import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.authoring import Tools
from controlplane.sidecar import OpaBinary, locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install
from tests.policies.support import ROOT, Engine, Run


@pytest.fixture(scope="session")
def opa() -> OpaBinary:
    return locate_opa(os.environ)


@pytest.fixture(scope="session")
def engine(opa: OpaBinary) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        engine = Engine(opa, Path(folder))
        yield engine
        engine.close()


def _runner(binary: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(binary), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="session")
def run_opa(opa: OpaBinary) -> Run:
    return _runner(opa.path)


@pytest.fixture(scope="session")
def tools(opa: OpaBinary) -> Tools:
    return Tools(opa.path, install("regal", tools_folder()))


@pytest.fixture(scope="session")
def run_regal() -> Run:
    return _runner(install("regal", tools_folder()))
