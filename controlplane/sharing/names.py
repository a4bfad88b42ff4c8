"""Names of what is counted together, as the store keeps them: short, of one length, and no names of anybody."""

from hashlib import blake2b

NAME_BYTES = 16


def named(*parts: str) -> str:
    """Return the name of something by its parts, 32 hexadecimal digits; other parts give another name."""
    whole = blake2b(digest_size=NAME_BYTES)
    for part in parts:
        raw = part.encode()
        whole.update(len(raw).to_bytes(4, "big") + raw)
    return whole.hexdigest()
