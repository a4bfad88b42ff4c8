"""Several processes that serve on the same ports: the parent that begins and ends them, a worker, and how they talk."""
