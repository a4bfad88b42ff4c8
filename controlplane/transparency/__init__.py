"""The transparency log as anyone verifies it: entries, Merkle trees and their proofs, signed notes, checkpoints.

Nothing here needs a server, a database or trust in either.
"""
