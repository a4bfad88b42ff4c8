"""How often honest devices are quarantined, measured against what is promised."""
