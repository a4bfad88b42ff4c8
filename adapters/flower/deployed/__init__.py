"""Flower's deployment engine for the kit: SuperLink, proxy, and a SuperNode with its sidecar for each client."""
