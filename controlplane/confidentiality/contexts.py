"""What sealed bytes are bound to, as one text that no other parts make."""


def context(label: str, *parts: str | int) -> bytes:
    """Return parts under a label, each after its length, so that two different lists never give the same bytes.

    Args:
        label: what is bound, and in which version.
        parts: to what, in an order that belongs to the label.
    """
    encoded = [str(part).encode() for part in (label, *parts)]
    return b"".join(len(one).to_bytes(4, "big") + one for one in encoded)
