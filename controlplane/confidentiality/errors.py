"""Why sealed bytes are not opened."""


class SealRefused(Exception):  # noqa: N818 - named for what happened
    """Sealed bytes do not open: another key, another context, or they were changed. Nothing of them is given out."""
