"""Verifiers, one module a kind of evidence, behind `controlplane.attestation.interface`."""
