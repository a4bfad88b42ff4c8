"""Signed models that an endpoint hands out: verified when they are taken in, and again, piece by piece, when sent."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.jobs.checked import CheckedFile
from controlplane.transparency.modelfiles import verify_model
from controlplane.transparency.modelsigners import SignatureRefused, Signers


class ModelStore:
    """Files of signed models by their digests. What nobody signed who may is not in it.

    Whoever asks has shown a capability for the model and the digest before (`adapters.web`); that the version is
    registered and not withdrawn was looked at when the capability was given.

    Example:
        store = ModelStore(load_signers(Path("signers")))
        store.add(Path("models/fall-detection"))
        with store.pieces("fall-detection", digest) as pieces:
            for piece in pieces:
                send(piece)

    Args:
        signers: whose signatures count.
        clock: Unix seconds.
    """

    def __init__(self, signers: Signers, clock: Callable[[], float] = time.time) -> None:
        self._signers = signers
        self._clock = clock
        self._files: dict[tuple[str, str], CheckedFile] = {}
        self._turn = threading.Lock()

    def add(self, model: Path, signature: Path | None = None) -> list[str]:
        """Take in a signed model, and return the digests of its files.

        Args:
            model: its folder, called like the model; or the file that it is.
            signature: where its signature is; none for ``model.sig`` in the folder, or ``NAME.sig`` beside the file.

        Raises:
            SignatureRefused: nobody signed it whose signature counts, or a file is not what was signed.
            AlteredError: a file changed while it was looked at.
            OSError: something cannot be read.
        """
        manifest = verify_model(model, self._signers, self._clock(), signature).manifest
        found = {
            (manifest.called, digest): CheckedFile.of(model if name == "." else model / name, digest)
            for name, digest in manifest.files.items()
        }
        with self._turn:
            self._files |= found
        return list(manifest.files.values())

    def find(self, model: str, digest: str) -> CheckedFile | None:
        """Return a file of a model, or none."""
        with self._turn:
            return self._files.get((model, digest))

    @contextmanager
    def pieces(self, model: str, digest: str) -> Iterator[Iterator[bytes]]:
        """Open a file of a model, and give it piece by piece, each compared with what was signed before it is given.

        Raises:
            SignatureRefused: there is none of that digest that was signed for this model.
            AlteredError: while it is read: a piece is not what was signed.
            OSError: it cannot be read.
        """
        found = self.find(model, digest)
        if found is None:
            raise SignatureRefused("unsigned", f"nothing of the digest {digest[:80]} was signed as {model[:128]}")
        with found.open() as file:
            yield found.read_pieces(file)
