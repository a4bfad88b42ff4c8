"""Attacks beyond updates, each tried against a real control plane: with its protection, and without it."""
