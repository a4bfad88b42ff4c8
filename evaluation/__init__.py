"""Attacks against the guard, on a real model and real data; the outer floor, which everything else may be imported by."""
