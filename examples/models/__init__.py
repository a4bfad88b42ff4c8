"""A store of signed models behind capabilities."""
