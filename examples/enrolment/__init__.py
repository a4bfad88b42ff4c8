"""Enrolling without a token: an issuer of credentials, and a maker of devices."""
