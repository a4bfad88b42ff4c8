"""Look back: what was decided, why, and what another policy would have decided."""
