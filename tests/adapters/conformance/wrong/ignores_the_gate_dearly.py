"""As `ignores_the_gate`, and says that its start is dear."""

from tests.adapters.conformance.wrong.ignores_the_gate import federation

TOGETHER = 18

__all__ = ["TOGETHER", "federation"]
