"""Credentials in queries, by their form. They are counted, for operators; nobody's behaviour is judged by them."""

import re
from collections.abc import Iterator

MAX_CHARS = 16_384
"""Of a query that are looked at."""

_FORMS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|\beyJ[A-Za-z0-9_-]{10,2048}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}"
    r"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bgithub_pat_[A-Za-z0-9_]{60}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\bsk-[A-Za-z0-9_-]{20,}"
    r"|\bztfm-enrol-[A-Za-z0-9_-]{16,}"
    r"|(?i:\b(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?token|auth[_-]?token)\b['\"]?\s*[:=]\s*"
    r"['\"]?[^\s'\"]{8,})"
)


_KEY_BEGINS = "-----BEGIN "
_KEY_ENDS = re.compile(r"-----END (?:[A-Z]+ )?PRIVATE KEY-----")


def holds_secret(text: str) -> bool:
    """Whether a text holds what looks like a private key, a token, or a named password."""
    return _FORMS.search(text[:MAX_CHARS]) is not None


def secret_places(text: str) -> Iterator[tuple[int, int]]:
    """Give out where in a text, however long, credentials lie; a private key lasts to its end, or to the text's."""
    at = 0
    while (match := _FORMS.search(text, at)) is not None:
        at = match.end()
        if match[0].startswith(_KEY_BEGINS):
            ends = _KEY_ENDS.search(text, at)
            at = len(text) if ends is None else ends.end()
        yield match.start(), at
