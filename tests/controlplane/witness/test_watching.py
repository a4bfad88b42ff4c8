"""A witness signs what grows, refuses what does not, and remembers before it answers."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.keys import new_signer, read_signer, write_signer
from controlplane.transparency.merkle import Subtree, consistency_pieces, folded, hashes_of, joined, leaf_hash
from controlplane.transparency.merkle import root_pieces as root_of
from controlplane.transparency.notes import Note, NoteInvalid, Signer, signature_of
from controlplane.witness.memory import MOST_FINDINGS, Finding, Memory
from controlplane.witness.watching import Answer, Watch
from tests.clocks import Clock

LOG = new_signer("ztfm-log-test", "note")
WITNESS = new_signer("org-b", "cosignature")


class Leaves:
    """A log that can do what it likes."""

    def __init__(self, count: int, changed: int | None = None) -> None:
        self.leaves = [leaf_hash(b"rewritten" if number == changed else b"%d" % number) for number in range(count)]

    def subtree(self, one: Subtree) -> bytes:
        return folded(self.leaves[one.start : one.end])

    def root(self, size: int) -> bytes:
        return joined([self.subtree(one) for one in root_of(size)])

    def shown(self, seen: int, size: int, signer: Signer = LOG, proof: list[bytes] | None = None) -> bytes:
        checkpoint = Checkpoint(signer.name, size, self.root(size))
        grown = hashes_of(consistency_pieces(seen, size), self.subtree) if seen <= size else []
        parts = grown if proof is None else proof
        lines = [f"old {seen}", *(base64.b64encode(part).decode() for part in parts), "", ""]
        return ("\n".join(lines) + str(Note(checkpoint.text, (signer.sign(checkpoint.text),)))).encode()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    Memory.create(tmp_path / "witness.db")
    opened = Memory(tmp_path / "witness.db")
    yield opened
    opened.close()


@pytest.fixture
def watch(memory: Memory) -> Watch:
    return Watch(WITNESS, [LOG.verifier], memory, Clock())


def believed(answer: Answer, log: Leaves, size: int) -> bool:
    checkpoint = Checkpoint(LOG.name, size, log.root(size))
    note = Note(checkpoint.text, (LOG.sign(checkpoint.text), signature_of(answer.text.strip())))
    seen = verify_checkpoint(str(note), Quorum(LOG.verifier, (WITNESS.verifier,), 1))
    return seen.witnessed_at == int(Clock().now)


def test_what_grows_is_signed(watch: Watch) -> None:
    log = Leaves(300)
    for seen, size in ((0, 5), (5, 5), (5, 260), (260, 300)):
        answer = watch.show(log.shown(seen, size))
        assert answer.status == 200, answer
        assert believed(answer, log, size)


def test_a_rewritten_history_is_refused_and_suspected(watch: Watch) -> None:
    watch.show(Leaves(10).shown(0, 10))
    answer = watch.show(Leaves(20, changed=3).shown(10, 20))
    assert (answer.status, answer.suspect) == (422, True)
    assert "history was rewritten" in answer.text


def test_another_tree_of_the_same_size_is_refused_and_proves_it(watch: Watch) -> None:
    watch.show(Leaves(10).shown(0, 10))
    assert watch.show(Leaves(10, changed=9).shown(10, 10)) == Answer(409, "10\n", suspect=True, is_proven=True)


def test_an_old_head_is_refused_and_accuses_nobody(watch: Watch) -> None:
    log = Leaves(10)
    watch.show(log.shown(0, 10))
    assert watch.show(log.shown(0, 9)) == Answer(409, "10\n")
    assert watch.show(log.shown(10, 9)).status == 400


def test_who_does_not_know_what_was_seen_is_told(watch: Watch) -> None:
    log = Leaves(10)
    watch.show(log.shown(0, 4))
    assert watch.show(log.shown(2, 10)) == Answer(409, "4\n")
    assert watch.show(log.shown(4, 10)).status == 200


def test_after_a_refusal_what_was_seen_still_counts(watch: Watch, memory: Memory) -> None:
    log = Leaves(20)
    watch.show(log.shown(0, 10))
    watch.show(Leaves(20, changed=3).shown(10, 20))
    head = memory.head(LOG.name)
    assert head is not None
    assert (head.size, head.root) == (10, log.root(10))
    assert watch.show(log.shown(10, 20)).status == 200


def test_what_was_seen_is_remembered_over_a_restart(tmp_path: Path) -> None:
    Memory.create(tmp_path / "w.db")
    log = Leaves(20)
    for seen, size in ((0, 10), (10, 20)):
        memory = Memory(tmp_path / "w.db")
        assert Watch(WITNESS, [LOG.verifier], memory, Clock()).show(log.shown(seen, size)).status == 200
        memory.close()


def test_a_witness_that_has_forgotten_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must not go on under the same key"):
        Memory(tmp_path / "gone.db")


def test_a_memory_is_not_made_twice(tmp_path: Path) -> None:
    Memory.create(tmp_path / "w.db")
    with pytest.raises(FileExistsError):
        Memory.create(tmp_path / "w.db")
    assert (tmp_path / "w.db").stat().st_mode & 0o077 == 0


def test_an_unknown_log_and_a_wrong_key_are_refused(watch: Watch) -> None:
    log = Leaves(3)
    assert watch.show(log.shown(0, 3, new_signer("another-log", "note"))).status == 404
    assert watch.show(log.shown(0, 3, new_signer(LOG.name, "note"))).status == 403


def test_nothing_needs_a_proof_at_first(watch: Watch) -> None:
    assert watch.show(Leaves(3).shown(0, 3, proof=[bytes(32)])).status == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"old 0\n",
        b"old -1\n\nx",
        b"old 00\n\nx",
        b"new 0\n\nx",
        b"old 0\nAAAA\n\nx",
        b"old 0\n" + b"A" * 43 + b"=\n" * 1 + b"\nno note",
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\nno note",
        b"old 0\n\ntext\n\n- no signature\n",
    ],
)
def test_what_is_no_request_is_refused(watch: Watch, body: bytes) -> None:
    assert watch.show(body).status == 400


def test_findings_are_kept_once_and_bounded(memory: Memory) -> None:
    for number in range(MOST_FINDINGS + 50):
        memory.find(Finding("log", number, number // 2, "changed"))
    assert memory._connection.execute("SELECT COUNT(*) FROM findings").fetchone()[0] <= MOST_FINDINGS
    assert memory.findings()[0].place == (MOST_FINDINGS + 49) // 2


def test_a_key_reads_back_from_its_file_and_shows_nothing_when_it_does_not() -> None:
    content = write_signer(WITNESS)
    assert str(read_signer(content, "cosignature").verifier) == str(WITNESS.verifier)
    secret = content.decode().split("+", 4)[4].strip()
    for wrong in (content[:-9] + b"\n", b"", b"\xff", content.replace(b"org-b", b"org-c")):
        with pytest.raises(NoteInvalid) as caught:
            read_signer(wrong, "cosignature")
        assert secret[:8] not in str(caught.value)
    with pytest.raises(NoteInvalid):
        read_signer(content, "note")


def test_a_key_that_signs_notes_is_no_witness_s(memory: Memory) -> None:
    with pytest.raises(ValueError, match="cosignatures"):
        Watch(LOG, [LOG.verifier], memory, Clock())
