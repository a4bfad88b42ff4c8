"""Envoy's ``ext_authz`` over HTTP: the question has the original's method, and its path behind a prefix."""

from typing import Final

from adapters.gateway.dialects.certificates import by_hash
from adapters.gateway.dialects.reading import Dialect, SubRequest
from adapters.web.answering import Refusal


def same(sub: SubRequest) -> tuple[str, str] | Refusal:
    """Return method and target of the question itself."""
    return sub.method, sub.target


ENVOY: Final = Dialect("envoy", same, by_hash)
"""Envoy 1.29 or later, with a header mutation before the filter that says how large the body is."""
