"""Adversarial training of clients: what it costs, and what it is worth against perturbed inputs."""
