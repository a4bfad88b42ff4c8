"""What a gateway may tell of how its callers use a model: numbers by subject and window, and never content.

`Signals` collects, `Reporter` reports them; `adapters.web` does both with ``signals=``.
"""

from adapters.signals.patterns import Classifier, PatternClassifier
from adapters.signals.reporting import Reporter
from adapters.signals.signals import Signals

__all__ = ["Classifier", "PatternClassifier", "Reporter", "Signals"]
