"""Parsers of what is signed and handed on: bundles of policies, heads of the log, models and their signatures."""

import json
from collections.abc import Callable

from tests.fuzzing.aiming import Target, text_of


def _bundle() -> Target:
    from controlplane.bundles import BundleRefused, verify
    from tests.controlplane.bundles.test_verification import BODY, TRUST

    return Target(lambda data: verify(data, TRUST, "base"), [BODY], (BundleRefused,))


def _bundle_tar() -> Target:
    """What is within the compression."""
    from controlplane.bundles import BundleRefused
    from controlplane.bundles.archive import read_tar, write_tar
    from tests.controlplane.bundles.samples import files

    return Target(read_tar, [write_tar(files()), write_tar({})], (BundleRefused,))


def _bundle_manifest() -> Target:
    from controlplane.bundles import BundleRefused
    from controlplane.bundles.layout import MANIFEST
    from controlplane.bundles.verification import read_manifest
    from tests.controlplane.bundles.samples import manifest

    return Target(lambda data: read_manifest({MANIFEST: data}), [manifest(), manifest("site")], (BundleRefused,))


def _bundle_claims() -> Target:
    """As if whoever may sign policies had signed these claims."""
    from controlplane.bundles import BundleRefused, verify
    from tests.controlplane.bundles.samples import unpacked_token, with_token
    from tests.controlplane.bundles.test_verification import BODY, SIGNER, TRUST

    header, claims, _ = unpacked_token(BODY)

    def _take(data: bytes) -> object:
        return verify(with_token(BODY, SIGNER._token(json.dumps(header).encode(), data)), TRUST, "base")

    return Target(_take, [json.dumps(claims).encode()], (BundleRefused,))


def _bundle_data() -> Target:
    """As if whoever may sign policies had signed these data: what is said to be their hashes is looked at."""
    from controlplane.bundles import BundleRefused, verify
    from controlplane.bundles.layout import DATA
    from tests.controlplane.bundles.samples import REVISION, files
    from tests.controlplane.bundles.test_verification import SIGNER, TRUST

    def _take(data: bytes) -> object:
        return verify(SIGNER.sign({**files(), DATA: data}, "base", REVISION), TRUST, "base")

    return Target(_take, [files()[DATA]], (BundleRefused,))


def _note() -> Target:
    from controlplane.transparency.checkpoints import verify_checkpoint
    from controlplane.transparency.notes import NoteInvalid
    from tests.controlplane.transparency.test_notes import quorum, signed

    seed = str(signed(witnesses=2)).encode()
    return Target(lambda data: verify_checkpoint(data.decode(errors="replace"), quorum(1)), [seed], (NoteInvalid,))


def _checkpoint() -> Target:
    from controlplane.transparency.checkpoints import Checkpoint
    from controlplane.transparency.notes import NoteInvalid
    from tests.controlplane.transparency.test_notes import CHECKPOINT

    return Target(lambda data: Checkpoint.parse(text_of(data)), [CHECKPOINT.text.encode()], (NoteInvalid,))


def _log_key() -> Target:
    from controlplane.transparency.notes import NoteInvalid, Verifier
    from tests.controlplane.transparency.test_notes import PUBLISHED_KEY

    return Target(lambda data: Verifier.parse(text_of(data)), [PUBLISHED_KEY.encode()], (NoteInvalid,))


def _record_proof() -> Target:
    from pydantic import ValidationError

    from controlplane.transparency.checkpoints import Checkpoint, Quorum
    from controlplane.transparency.entries import Entry, commit
    from controlplane.transparency.merkle import ProofFailed
    from controlplane.transparency.notes import Note, NoteInvalid
    from controlplane.transparency.proofs import RecordProof, verify_record
    from tests.controlplane.transparency.test_notes import LOG

    salt, record = bytes(32), "{}"
    entry = Entry(kind="decision", id="dec-1", time_ms=1, commitment=commit(salt, record.encode()).hex())
    text = Checkpoint(LOG.verifier.name, 1, entry.hashed()).text
    proof = RecordProof(
        entry=entry,
        place=0,
        salt=salt.hex(),
        record=record,
        hashes=[],
        checkpoint=str(Note(text, (LOG.sign(text),))),
    )
    quorum = Quorum(LOG.verifier, (), 0)
    return Target(
        lambda data: verify_record(RecordProof.model_validate_json(data), quorum),
        [proof.model_dump_json().encode()],
        (ValidationError, NoteInvalid, ProofFailed),
    )


def _provenance() -> Target:
    """As if the log had signed this statement."""
    from controlplane.transparency.statements import StatementInvalid, sign_statement, verify_statement
    from tests.controlplane.transparency.test_statements import LOG, provenance

    return Target(
        lambda data: verify_statement(sign_statement(data, LOG), LOG.verifier),
        [provenance().statement()],
        (StatementInvalid,),
    )


def _provenance_envelope() -> Target:
    from controlplane.transparency.statements import StatementInvalid, sign_statement, verify_statement
    from tests.controlplane.transparency.test_statements import LOG, provenance

    seed = sign_statement(provenance().statement(), LOG)
    return Target(lambda data: verify_statement(data, LOG.verifier), [seed], (StatementInvalid,))


def _model_signature() -> Target:
    from controlplane.transparency.modelsignatures import verify_bundle
    from controlplane.transparency.modelsigners import SignatureRefused, Signers
    from tests.modelsigning import AT, KEY, signed_text

    signers = Signers({"maker": KEY.public_key()})
    seed = signed_text("m", {"a.bin": b"a", "b.bin": b"b"}).encode()
    return Target(lambda data: verify_bundle(data, signers, AT), [seed], (SignatureRefused,))


def _model_manifest() -> Target:
    """As if whoever may sign models had signed this statement."""
    from controlplane.transparency.modelsignatures import verify_bundle
    from controlplane.transparency.modelsigners import SignatureRefused, Signers
    from tests.modelsigning import AT, KEY, bundle, statement

    signers = Signers({"maker": KEY.public_key()})
    seed = json.dumps(statement("m", {"a.bin": b"a", "b.bin": b"b"})).encode()
    return Target(lambda data: verify_bundle(json.dumps(bundle(data)), signers, AT), [seed], (SignatureRefused,))


def _tensor_file() -> Target:
    from io import BytesIO

    from adapters.jobs.tensorfile import DTYPES, UnfitFileError, stored_in

    head = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}}
    head["b"] = {"dtype": "F16", "shape": [], "data_offsets": [8, 10]}
    written = json.dumps(head).encode()
    seed = len(written).to_bytes(8, "little") + written + bytes(10)
    return Target(lambda data: stored_in(BytesIO(data), DTYPES), [seed], (UnfitFileError,))


MADE: dict[str, Callable[[], Target]] = {
    "bundle": _bundle,
    "bundle_claims": _bundle_claims,
    "bundle_data": _bundle_data,
    "bundle_manifest": _bundle_manifest,
    "bundle_tar": _bundle_tar,
    "checkpoint": _checkpoint,
    "log_key": _log_key,
    "model_manifest": _model_manifest,
    "model_signature": _model_signature,
    "note": _note,
    "provenance": _provenance,
    "provenance_envelope": _provenance_envelope,
    "record_proof": _record_proof,
    "tensor_file": _tensor_file,
}
"""By name."""
