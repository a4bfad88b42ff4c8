"""Compact signatures and P-256 keys (JOSE: RFC 7515, 7517, 7638): what every signed thing here is made of."""
