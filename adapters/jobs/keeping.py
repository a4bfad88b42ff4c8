"""What a job keeps on disk, so that it goes on from its last finished round."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from adapters.guard.rounds import Weights
from adapters.jobs.checked import AlteredError, CheckedFile
from adapters.jobs.tensorfile import content_sha256, file_digest, read_stored
from adapters.rollback.tensors import write_tensors
from controlplane.contracts.base import Digest, Identifier, StrictModel

_PROGRESS = "progress.json"
_UPDATES = "updates"


class JobError(RuntimeError):
    """The job cannot begin, or cannot go on; the message says what to do."""


class Progress(StrictModel):
    """Where a job stands.

    Attributes:
        model: of the job.
        begun_with: digest of the weights of the first round.
        finished: rounds that are done.
        file: that holds the model's state after them.
        sha256: of that file, in hexadecimal.
    """

    model: Identifier
    begun_with: Digest
    finished: int
    file: str
    sha256: str


class JobFolder:
    """A job's folder. A context manager: one process at a time has it.

    Args:
        folder: the job's own; made, for its owner alone.
        model: the model's identifier.

    Attributes:
        state: the model's state after the rounds that are finished.
        finished: how many.
        updates: where updates are put while a round is open.

    Raises:
        JobError: another process has it, it is another job's, or what it holds is damaged.
        OSError: it cannot be read or written.
    """

    def __init__(self, folder: Path, model: str, weights: Path) -> None:
        self._folder = folder
        self._model = model
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.state, self._progress = self._begun(weights)
            self.updates = folder / _UPDATES
            self.updates.mkdir(mode=0o700, exist_ok=True)
            self.clear()
        except BlockingIOError:
            os.close(self._lock)
            raise JobError(f"{folder} is in use: another process runs this job") from None
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def finished(self) -> int:
        """Rounds that are done."""
        return self._progress.finished

    @property
    def weights(self) -> Path:
        """The file that holds the state."""
        return self._folder / self._progress.file

    def close(self) -> None:
        """Let another process have the folder."""
        self.clear()
        os.close(self._lock)

    def clear(self) -> None:
        """Remove updates that were taken in."""
        for path in self.updates.iterdir():
            path.unlink(missing_ok=True)

    def serve(self) -> CheckedFile:
        """Write the tensors that take part, as the members of a round pull them.

        Raises:
            AlteredError: what lies on the disk are other tensors than those that were written.
            OSError: it cannot be written.
        """
        path = self._folder / "served.safetensors"
        draft, weights = path.with_suffix(".draft"), Weights.of(self.state)
        write_tensors(draft, weights.tensors)
        # A file that is being sent stays what it was for whoever has it open.
        draft.replace(path)
        served = CheckedFile.of(path)
        if file_digest(path, read_stored(path)) != weights.digest:
            raise AlteredError(f"{path} does not hold the weights that were written to it: who else writes there?")
        return served

    def finish(self, state: Mapping[str, Tensor]) -> None:
        """Keep the state after a round, whole or not at all."""
        before = self.weights
        self._progress = self._kept(state, self._progress.begun_with, self._progress.finished + 1)
        self.state = dict(state)
        if before != self.weights:
            before.unlink(missing_ok=True)

    def _begun(self, weights: Path) -> tuple[dict[str, Tensor], Progress]:
        path = self._folder / _PROGRESS
        if not path.exists():
            state = _loaded(weights)
            try:
                digest = Weights.of(state).digest
            except ValueError as error:
                raise JobError(f"{weights} cannot be trained: {error}") from None
            return state, self._kept(state, digest, 0)
        try:
            progress = Progress.model_validate_json(path.read_bytes())
        except ValidationError:
            raise JobError(f"{path} says nothing of a job: move it away to begin anew") from None
        if progress.model != self._model or Path(progress.file).name != progress.file:
            raise JobError(f"{self._folder} is a job's of the model {progress.model}: choose another folder")
        if weights.exists() and Weights.of(_loaded(weights)).digest != progress.begun_with:
            raise JobError(f"{self._folder} is a job's that began with other weights: choose another folder")
        kept = self._folder / progress.file
        if not kept.exists() or content_sha256(kept).hex() != progress.sha256:
            raise JobError(f"{kept} is not what was kept: restore it, or choose another folder to begin anew")
        return _loaded(kept), progress

    def _kept(self, state: Mapping[str, Tensor], begun_with: str, finished: int) -> Progress:
        path = self._folder / f"weights-{finished}.safetensors"
        draft = path.with_suffix(".draft")
        write_tensors(draft, state)
        draft.replace(path)
        progress = Progress(
            model=self._model,
            begun_with=begun_with,
            finished=finished,
            file=path.name,
            sha256=content_sha256(path).hex(),
        )
        _write_whole(self._folder / _PROGRESS, json.dumps(progress.model_dump(), indent=2).encode())
        return progress


def _loaded(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise JobError(f"{path} cannot be read as a safetensors file: {error}") from None


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
