"""A witness: watches logs of others, and signs that they only grow. It runs in another organisation than the log."""
