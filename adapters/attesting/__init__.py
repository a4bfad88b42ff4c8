"""What makes evidence of the platform that a device runs on, one module a kind of platform."""
