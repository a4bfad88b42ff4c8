"""What a benchmark needs that is not on every machine, and the words in which its absence is told."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from controlplane.sidecar.locate import OpaNotFound, locate_opa

# Debian keeps servers where only root looks.
_PATHS = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"

Need = Callable[[], str]
"""Returns why a benchmark cannot run here, with the remedy; nothing when it can."""


def module(name: str, extra: str) -> Need:
    """Need an importable module, which an extra of this project brings."""

    def _lacks() -> str:
        return "" if importlib.util.find_spec(name) else f"there is no module {name}: pip install 'ztfm[{extra}]'"

    return _lacks


def program(name: str, remedy: str) -> Need:
    """Need a program on the path, or where ``<NAME>_BIN`` says."""

    def _lacks() -> str:
        found = os.environ.get(f"{name.upper()}_BIN") or shutil.which(name, path=_PATHS)
        return "" if found else f"there is no {name}: {remedy}"

    return _lacks


def backend(name: str) -> Need:
    """Need the environment of a federated-learning backend whose pins are not ours."""

    def _lacks() -> str:
        found = (Path("build") / "backends" / name / "bin" / "python").exists()
        return "" if found else f"there is no environment for {name}: python -m tests.backends.environments {name}"

    return _lacks


def opa() -> str:
    """Need an Open Policy Agent."""
    try:
        locate_opa(os.environ)
    except OpaNotFound as error:
        return f"{str(error).splitlines()[-1].strip()}: make setup"
    return ""


def root() -> str:
    """Need to be root, for a network namespace of its own."""
    return "" if os.geteuid() == 0 else "only root makes a network namespace: run it as root"
