"""Notes and checkpoints: a published signed note verifies, and nothing that differs from what was signed does."""

import string

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.notes import Note, NoteInvalid, Signer, Verifier, time_of

PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of Go's golang.org/x/mod/sumdb/note, where the format comes from."""

LOG = Signer("ztfm.example/log", "note", Ed25519PrivateKey.generate())
WITNESSES = [Signer(f"witness-{number}", "cosignature", Ed25519PrivateKey.generate()) for number in range(3)]
CHECKPOINT = Checkpoint("ztfm.example/log", 17, bytes(range(32)))
NOW = 1_800_000_000


def signed(checkpoint: Checkpoint = CHECKPOINT, witnesses: int = 0) -> Note:
    text = checkpoint.text
    signatures = [LOG.sign(text), *(one.sign(text, NOW + number) for number, one in enumerate(WITNESSES[:witnesses]))]
    return Note(text, tuple(signatures))


def quorum(needed: int) -> Quorum:
    return Quorum(LOG.verifier, tuple(one.verifier for one in WITNESSES), needed)


def test_a_published_note_verifies() -> None:
    key = Verifier.parse(PUBLISHED_KEY)
    note = Note.parse(PUBLISHED_NOTE)
    assert note.signed_by(key) is not None
    assert str(key) == PUBLISHED_KEY
    assert str(note) == PUBLISHED_NOTE


@given(st.integers(0, len(PUBLISHED_NOTE) - 1), st.characters(codec="ascii", exclude_categories=["Cc"]))
def test_no_character_of_it_may_differ(place: int, other: str) -> None:
    if PUBLISHED_NOTE[place] == other:
        return
    changed = PUBLISHED_NOTE[:place] + other + PUBLISHED_NOTE[place + 1 :]
    try:
        found = Note.parse(changed).signed_by(Verifier.parse(PUBLISHED_KEY))
    except NoteInvalid:
        return
    assert found is None


def test_a_signature_has_one_spelling() -> None:
    before, last = PUBLISHED_NOTE.rstrip("=\n")[:-1], PUBLISHED_NOTE.rstrip("=\n")[-1]
    padding = PUBLISHED_NOTE[len(before) + 1 :]
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    neighbour = alphabet[alphabet.index(last) ^ 1]
    with pytest.raises(NoteInvalid, match="another form than its own"):
        Note.parse(before + neighbour + padding)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name !!!!!!!!\n",
        "text\n\n— two words AAAAAAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAAA",
        "te\x00xt\n\n— name AAAAAAAA\n",
        "text\n\n" + "— name AAAAAAAA\n" * 65,
        "x" * 70_000 + "\n\n— name AAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_refused(raw: str) -> None:
    with pytest.raises(NoteInvalid):
        Note.parse(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+c74f20a3",
        "name+c74f20a3+",
        "name+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Verifier.parse(text)


def test_a_cosignature_says_when() -> None:
    note = signed(witnesses=1)
    found = note.signed_by(WITNESSES[0].verifier)
    assert found is not None
    assert time_of(found) == NOW


def test_a_cosignature_of_another_time_does_not_hold() -> None:
    one = WITNESSES[0].sign(CHECKPOINT.text, NOW)
    later = type(one)(one.name, one.key_id, (NOW + 1).to_bytes(8) + one.value[8:])
    assert Note(CHECKPOINT.text, (later,)).signed_by(WITNESSES[0].verifier) is None


def test_a_witness_s_cosignature_is_no_log_s_signature() -> None:
    as_note = Verifier(WITNESSES[0].name, "note", WITNESSES[0].verifier.key)
    assert signed(witnesses=1).signed_by(as_note) is None


def test_a_checkpoint_that_enough_witnesses_saw_is_believed() -> None:
    seen = verify_checkpoint(str(signed(witnesses=2)), quorum(2))
    assert seen.checkpoint == CHECKPOINT
    assert seen.witnesses == ("witness-0", "witness-1")
    assert seen.witnessed_at == NOW + 1


def test_one_that_too_few_saw_is_not_and_the_missing_are_named() -> None:
    with pytest.raises(NoteInvalid, match="1 of 2 witnesses signed; no cosignature of witness-1, witness-2 holds"):
        verify_checkpoint(str(signed(witnesses=1)), quorum(2))


def test_a_witness_that_signs_twice_counts_once() -> None:
    note = signed(witnesses=1)
    again = note.with_signatures([WITNESSES[0].sign(CHECKPOINT.text, NOW + 9)])
    with pytest.raises(NoteInvalid, match="1 of 2"):
        verify_checkpoint(str(again), quorum(2))
    with pytest.raises(ValueError, match="once"):
        Quorum(LOG.verifier, (WITNESSES[0].verifier, WITNESSES[0].verifier), 2)


def test_without_the_log_s_own_signature_nobody_is_believed() -> None:
    note = Note(CHECKPOINT.text, tuple(one.sign(CHECKPOINT.text, NOW) for one in WITNESSES))
    with pytest.raises(NoteInvalid, match="not signed by"):
        verify_checkpoint(str(note), quorum(2))


def test_another_log_s_checkpoint_is_refused() -> None:
    other = Checkpoint("elsewhere.example/log", 17, CHECKPOINT.root)
    with pytest.raises(NoteInvalid, match=r"of elsewhere\.example/log"):
        verify_checkpoint(str(signed(other)), quorum(0))


@pytest.mark.parametrize(
    "text",
    [
        "origin\n17\n",
        "origin\n017\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n\u0661\u0667\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n99999999999999999999\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n17\nAAEC\n",
        "origin\n17\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "\n17\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)


def test_lines_that_a_later_version_adds_are_signed_and_passed_over() -> None:
    assert Checkpoint.parse(CHECKPOINT.text + "an extension\n") == CHECKPOINT
