"""Flower's simulation engine, kept small and quiet: a few processes in which all devices take turns."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import ray
from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from evaluation.federation.ending import EndingGrid, RunIsOver

Simulate = Callable[[ClientApp, int, Callable[[Grid], None]], None]


@contextmanager
def simulation(scratch: Path, processes: int, is_over: Event) -> Iterator[Simulate]:
    """Start the engine in the background, and stop it after the block.

    Flower runs beside the caller's thread, where Ctrl-C cannot meet it: torn out of Flower, it would stop Ray under
    workers that wait for its answers, and Ray then ends the whole process on the spot. It is asked to end instead.

    Args:
        scratch: a folder with a short path, for the engine's sockets and logs.
        processes: how many devices train at the same time, one core each.
        is_over: set, by whoever, it ends a simulation early; it is set when a caller is interrupted.

    Yields:
        What runs a server's part against simulated nodes, once: an app for all nodes, how many there are, and the
        server's part, in which several federations may follow one another. It raises whatever that raised, and
        leaves nothing of it running.
    """
    logging.getLogger("flwr").setLevel(logging.ERROR)
    with ThreadPoolExecutor(1, "engine") as pool:
        started = pool.submit(_start, scratch, processes)

        def simulate(client: ClientApp, nodes: int, serve: Callable[[Grid], None]) -> None:
            started.result()
            server = ServerApp()

            @server.main()  # type: ignore[untyped-decorator]
            def main(grid: Grid, context: Context) -> None:
                with suppress(RunIsOver):
                    serve(EndingGrid(grid, is_over))

            resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
            running = pool.submit(run_simulation, server, client, num_supernodes=nodes, backend_config=resources)
            try:
                running.result()
            except BaseException:
                is_over.set()
                wait([running])
                raise

        try:
            yield simulate
        finally:
            started.exception()
            ray.shutdown()


def _start(scratch: Path, processes: int) -> None:
    ray.init(
        num_cpus=processes,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=True,
        logging_level=logging.ERROR,
        _temp_dir=str(scratch),
    )
