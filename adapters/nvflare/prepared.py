"""What NVFLARE's server, its sites and their jobs import, imported: each is forked from a process that has it."""

import nvflare.private.fed.app.client.client_train
import nvflare.private.fed.app.client.worker_process
import nvflare.private.fed.app.server.runner_process
import nvflare.private.fed.app.server.server_train  # noqa: F401 - these are imported to be there
import torch

import adapters.nvflare.commands
import adapters.nvflare.conformance
import adapters.nvflare.registering
import adapters.nvflare.submitting  # noqa: F401

torch.set_num_threads(1)
