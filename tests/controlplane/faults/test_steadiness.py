"""What serves for long holds no more than before: no task, no file, no memory of callers beyond their number."""

import asyncio
from pathlib import Path

from tests.controlplane.test_faults import ask
from tests.support import ControlPlane, running


def held(plane: ControlPlane) -> tuple[int, int]:
    """Return how many tasks and files there are."""
    plane.call("GET", "/livez")
    return len(asyncio.all_tasks(plane.loop)), len([*Path("/proc/self/fd").iterdir()])


def test_requests_granted_denied_and_broken_leave_no_task_and_no_file_behind() -> None:
    with running() as plane:
        device, wrong, stranger = plane.enrol("consumer"), plane.enrol("trainer"), plane.stranger()

        def some(times: int) -> None:
            for _ in range(times):
                assert ask(device).status == 201
                assert ask(wrong).status == 403
                assert ask(stranger).status == 401
                plane.call("POST", "/v1/capabilities", key=device.key, body=b"{")

        some(5)
        tasks, files = held(plane)
        some(40)
        # A probe of readiness or a commit may just be under way.
        assert held(plane)[0] <= tasks + 5
        assert held(plane)[1] <= files + 5
