"""The figures that the product promises, each measured beside its peer in one run."""
