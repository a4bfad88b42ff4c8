"""A small Flower app, guarded."""
