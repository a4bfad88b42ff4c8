"""As a program in OpenFL's environment: a collaborator with OpenFL's certificate and no enrolled key asks for weights.

python -m tests.backends.openfl.rogue NAME RESULT      in a workspace
"""

import json
import sys
import time
from pathlib import Path

from openfl.federated import Plan

from adapters.openfl.messages import QUESTION, packed

NAME = "net.hidden.weight"


def main(name: str, result: Path) -> None:
    plan = Plan.parse(Path("plan/plan.yaml"), Path("plan/cols.yaml"), Path("plan/data.yaml"))
    client = plan.get_client(name)
    asked = given = 0
    while True:
        tasks, number, _, is_over = client.get_tasks()
        if is_over:
            break
        if tasks and tasks[0].name == QUESTION:
            client.send_local_task_results(number, QUESTION, 0, [packed({"subject": "dev-nobody", "proof": "none"})])
        for tags in (("model",), ("one", "trained"), ("aggregated", "delta", "compressed")):
            asked += 1
            given += len(client.get_aggregated_tensor(NAME, number, False, tags, True).data_bytes)
        time.sleep(0.2)
        result.write_text(json.dumps({"asked": asked, "bytes": given}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
