"""nftables of a network namespace, as tests speak to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.servers.namespaces import Node, NoNamespaces, nodes


class Nft:
    """nftables of one network namespace, in which nothing else is.

    Args:
        node: the namespace.
    """

    def __init__(self, node: Node) -> None:
        self.node = node

    def run(self, *words: str, given: str | None = None) -> str:
        """Run nft with these words and return what it prints.

        Raises:
            RuntimeError: it refused.
        """
        return self.node.run("nft", *words, given=given)

    def apply(self, commands: Any) -> None:
        """Apply commands of libnftables' JSON: all or nothing.

        Raises:
            RuntimeError: they were refused.
        """
        self.run("-j", "-f", "-", given=json.dumps(commands))

    def listing(self) -> Any:
        """Return the whole ruleset as nft lists it in JSON."""
        return json.loads(self.run("-j", "list", "ruleset"))


@contextmanager
def kernel_alone() -> Iterator[Nft]:
    """A namespace with nftables and nothing else; the test is skipped where there is none."""
    try:
        with nodes("alone") as [node]:
            yield Nft(node)
    except NoNamespaces as missing:
        pytest.skip(str(missing))
