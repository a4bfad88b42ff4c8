"""The dashboard as code."""
