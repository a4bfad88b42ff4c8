"""What an integrator can copy."""
