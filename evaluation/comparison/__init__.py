"""Attacks by defences by skew by seeds, on two tasks: what each defence finds, saves and costs."""
