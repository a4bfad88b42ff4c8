"""A secure sum, message by message."""
