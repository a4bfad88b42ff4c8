"""A process that tries policies: it is told what on its input, limits itself, and says what came of it."""

import contextlib
import json
import os
import resource
import sys

MAX_FILE_BYTES = 256 * 1024 * 1024
NICENESS = 5


def limit(processor_seconds: int, memory_bytes: int) -> None:
    """Bound this process and each that it starts; where memory or processors are short, they come after deciding."""
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    # Only Linux has this.
    with contextlib.suppress(OSError):
        os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"1000")


def main() -> None:
    """Do one piece of work."""
    told = json.loads(sys.stdin.buffer.readline())
    limit(told["processor_seconds"], told["memory_bytes"])
    # After it is limited, and what the work needs alone.
    from controlplane.history.workbench.work import do

    answer = json.dumps(do(told, sys.stdin.buffer)).encode()
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
