"""Signed models where they are used: what is verified before it is trained or handed out, and what signers state."""

from adapters.jobs.checked import AlteredError, CheckedFile
from adapters.models.store import ModelStore
from adapters.models.tensors import state_tensors, tensors_of
from controlplane.transparency.modelfiles import verify_model
from controlplane.transparency.modelsigners import SignatureRefused, Signers, load_signers

__all__ = [
    "AlteredError",
    "CheckedFile",
    "ModelStore",
    "SignatureRefused",
    "Signers",
    "load_signers",
    "state_tensors",
    "tensors_of",
    "verify_model",
]
