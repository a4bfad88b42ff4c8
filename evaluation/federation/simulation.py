"""Flower's simulation engine, kept small and quiet: two processes in which all devices take turns."""

import logging
from collections.abc import Callable
from pathlib import Path

import ray
from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

PROCESSES = 2


def simulate(client: ClientApp, devices: int, serve: Callable[[Grid], None], scratch: Path) -> None:
    """Run ``serve`` against ``devices`` simulated nodes; several federations may follow one another in it.

    Args:
        client: every node's app.
        devices: how many nodes.
        serve: the server's part.
        scratch: a folder with a short path, for the engine's sockets and logs.

    Raises:
        Exception: whatever ``serve`` raised.
    """
    server = ServerApp()
    faults: list[BaseException] = []

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            serve(grid)
        except BaseException as fault:
            faults.append(fault)
            raise

    _start_engine(scratch)
    try:
        run_simulation(
            server,
            client,
            num_supernodes=devices,
            backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
        )
    except Exception as error:
        raise (faults[0] if faults else error) from None
    finally:
        ray.shutdown()


def _start_engine(scratch: Path) -> None:
    logging.getLogger("flwr").setLevel(logging.ERROR)
    ray.init(
        num_cpus=PROCESSES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=True,
        logging_level=logging.ERROR,
        _temp_dir=str(scratch),
    )
