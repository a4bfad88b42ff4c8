"""The attack matrix: what attacks do to a federation, and what the control plane makes of whoever attacks."""
