"""Send spans that ended: bounded, on a thread of its own, so that no request waits for a collector."""

import threading
from collections import deque
from collections.abc import Callable

import structlog
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

BATCH = 256
"""Spans that are sent at once; that many do not wait for the delay to pass."""

PAUSE_SECONDS = 15.0
"""After spans could not be sent, none are tried for as long."""

STOP_SECONDS = 2.0
"""For what is left to be sent when the control plane stops."""

TELL_SECONDS = 60.0
"""Between two words in the log that spans were lost."""

_log = structlog.get_logger("ztfm.traces")


class Outbox(SpanProcessor):
    """Holds spans that ended until a thread of its own has sent them. Whoever ends a span never waits.

    OpenTelemetry's own makes a log record of each span that it loses, and takes up to half a minute to stop.

    Args:
        exporter: sends them, and may block.
        queue: spans that wait at most; beyond it the oldest are lost.
        delay_seconds: how long a span waits at most.
        clock: seconds, monotonic.

    Attributes:
        lost: spans that were not sent since it was last told.
    """

    def __init__(self, exporter: SpanExporter, queue: int, delay_seconds: float, clock: Callable[[], float]) -> None:
        self.lost = 0
        self._exporter = exporter
        self._delay = delay_seconds
        self._clock = clock
        self._told_at = -TELL_SECONDS
        self._waiting: deque[ReadableSpan] = deque(maxlen=queue)
        self._wake = threading.Event()
        self._stop = threading.Event()
        # A daemon: an export that hangs keeps no process from ending.
        self._thread = threading.Thread(target=self._work, name="ztfm-traces", daemon=True)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that ended."""
        if len(self._waiting) == self._waiting.maxlen:
            self.lost += 1
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def shutdown(self) -> None:
        """Send what is left, within `STOP_SECONDS`."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._exporter.shutdown()
        self._tell()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have what waits sent soon."""
        self._wake.set()
        return True

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._delay)
            self._wake.clear()
            if not self._send():
                self._stop.wait(PAUSE_SECONDS)
            if self._clock() - self._told_at >= TELL_SECONDS:
                self._tell()
        self._send()

    def _send(self) -> bool:
        """Send what waits, and return whether all of it went."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                is_sent = self._exporter.export(batch) is SpanExportResult.SUCCESS
            except Exception:  # noqa: BLE001 - counted and logged; no request waits for it
                _log.exception("traces_fault")
                is_sent = False
            if not is_sent:
                self.lost += len(batch)
                return False
        return True

    def _tell(self) -> None:
        lost, self.lost = self.lost, 0
        if lost:
            remedy = "no request is concerned: see whether the collector takes them, or lower OTEL_TRACES_SAMPLER_ARG"
            _log.warning("traces_lost", spans=lost, remedy=remedy)
            self._told_at = self._clock()
