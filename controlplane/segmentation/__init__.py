"""Grants compiled to what enforces them on the network: pure, one module for each enforcement point."""
