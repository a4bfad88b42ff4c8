"""The task of seed 0, built once: its trunk costs many seconds, and workers that run side by side share it."""

import os
from pathlib import Path

import pytest
import torch

from evaluation.smart_home.task import Task, load_task


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    own: Path = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return load_task(0, common / "trunk")
