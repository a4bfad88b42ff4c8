"""A small Flower app, guarded, for a deployment."""
