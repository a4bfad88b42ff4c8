"""Which node is which device: bound when a device registers a node, and kept."""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NODES_A_SUBJECT = 16
"""A SuperNode without a key of its own is a new node each time it starts; what it was before is forgotten by and by."""

_FILE = "nodes.jsonl"


class _Node(NamedTuple):
    subject: str
    key: str


class Bindings:
    """Whose node is whose. What is bound outlives the proxy.

    Args:
        folder: where it is kept, in a private file, a line a change.

    Raises:
        ValueError: the file holds something else, or others can reach it.
        OSError: it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._nodes: dict[int, _Node] = {}
        self._of_subject: dict[str, OrderedDict[int, None]] = {}
        self._keys: dict[str, str] = {}
        for node_id, node in _kept(self._path):
            self._forget(node_id)
            if node is not None:
                self._keep(node_id, node)

    def subject(self, node_id: int) -> str | None:
        """Return whose node it is, or none for one that was never bound."""
        found = self._nodes.get(node_id)
        return found.subject if found else None

    def owner(self, public_key: bytes) -> str | None:
        """Return who registered a node with this key of Flower's, or none."""
        return self._keys.get(_hash(public_key))

    def bind(self, node_id: int, subject: str, public_key: bytes) -> bool:
        """Make a node a device's, and return whether it is: what is another's stays so.

        Raises:
            OSError: it cannot be kept; nothing is bound then.
        """
        node = _Node(subject, _hash(public_key))
        if self.subject(node_id) not in (None, subject) or self.owner(public_key) not in (None, subject):
            return False
        if self._nodes.get(node_id) != node:
            self._write(node_id, node)
            self._forget(node_id)
            self._keep(node_id, node)
        return True

    def release(self, node_id: int) -> None:
        """A node is no more.

        Raises:
            OSError: that cannot be kept.
        """
        if node_id in self._nodes:
            self._write(node_id, None)
            self._forget(node_id)

    def _keep(self, node_id: int, node: _Node) -> None:
        self._nodes[node_id] = node
        self._keys[node.key] = node.subject
        own = self._of_subject.setdefault(node.subject, OrderedDict())
        own[node_id] = None
        while len(own) > NODES_A_SUBJECT:
            self._forget(next(iter(own)))

    def _forget(self, node_id: int) -> None:
        node = self._nodes.pop(node_id, None)
        if node is not None:
            self._keys.pop(node.key, None)
            self._of_subject[node.subject].pop(node_id, None)

    def _write(self, node_id: int, node: _Node | None) -> None:
        entry = {"node": node_id, "subject": node.subject, "key": node.key} if node else {"node": node_id}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(entry) + "\n")


def _kept(path: Path) -> Iterator[tuple[int, _Node | None]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor) as file:
        if os.fstat(descriptor).st_mode & 0o077:
            raise ValueError(f"{path} can be reached by others. If nobody did, run `chmod 600 {path}`.")
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
                node = _Node(str(entry["subject"]), str(entry["key"])) if "subject" in entry else None
                yield int(entry["node"]), node
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{path}, line {number}, binds no node. Take the line out, or restore it.") from None


def _hash(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()
