"""Attacks against the guard, on a real model and real data. The outermost floor: nothing else imports it."""
