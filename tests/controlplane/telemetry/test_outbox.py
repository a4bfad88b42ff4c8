"""Spans that ended are sent by a thread of their own: bounded, told of when lost, and ended in time."""

import io
import json
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from controlplane.telemetry import outbox
from controlplane.telemetry.outbox import BATCH, STOP_SECONDS, Outbox
from tests.support import wait_until

NOWHERE = Resource({})


class Exporter(SpanExporter):
    """Stands for an exporter where a test must choose the fault; the real one is used in test_otlp.py."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.batches: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.fault: Exception | None = None
        self.result = SpanExportResult.SUCCESS
        self.is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait(30)
        if self.fault is not None:
            raise self.fault
        if self.result is SpanExportResult.SUCCESS:
            self.sent += [span.name for span in spans]
            self.batches.append(len(spans))
        return self.result

    def shutdown(self) -> None:
        self.is_shut = True


def put(box: Outbox, first: int, count: int) -> None:
    for number in range(first, first + count):
        box.on_end(ReadableSpan(str(number), resource=NOWHERE))


def box_of(exporter: Exporter, *, queue: int = 4096, delay: float = 0.01) -> Outbox:
    return Outbox(exporter, queue, delay, time.monotonic)


def told(logged: io.StringIO) -> int:
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    return sum(line["spans"] for line in lines if line["event"] == "traces_lost")


def test_a_full_batch_does_not_wait_for_the_delay() -> None:
    exporter = Exporter()
    box = box_of(exporter, delay=60.0)
    box.start()
    put(box, 0, BATCH)
    wait_until(lambda: exporter.batches == [BATCH])
    box.shutdown()


def test_what_is_left_is_sent_at_the_end() -> None:
    exporter = Exporter()
    box = box_of(exporter, delay=60.0)
    box.start()
    put(box, 0, 2 * BATCH + 1)
    box.shutdown()
    assert exporter.sent == [str(number) for number in range(2 * BATCH + 1)]
    assert exporter.is_shut


def test_a_queue_that_is_full_loses_the_oldest_and_says_how_many(logged: io.StringIO) -> None:
    exporter = Exporter()
    box = box_of(exporter, queue=10)
    put(box, 0, 25)
    assert len(box) == 10
    box.start()
    wait_until(lambda: len(exporter.sent) == 10)
    box.shutdown()
    assert exporter.sent == [str(number) for number in range(15, 25)]
    assert told(logged) == 15


def test_an_exporter_that_hangs_delays_nobody_and_is_left_behind_at_the_end(logged: io.StringIO) -> None:
    exporter = Exporter()
    exporter.open.clear()
    box = box_of(exporter, queue=50)
    box.start()
    put(box, 0, 1)
    wait_until(lambda: len(box) == 0, what="the thread took it")
    began = time.monotonic()
    put(box, 1, 5000)
    assert time.monotonic() - began < 1.0
    assert len(box) == 50
    began = time.monotonic()
    box.shutdown()
    assert time.monotonic() - began < STOP_SECONDS + 2.0
    assert told(logged) == 5000
    exporter.open.set()


def test_after_a_failure_it_pauses_and_then_goes_on(monkeypatch: pytest.MonkeyPatch, logged: io.StringIO) -> None:
    monkeypatch.setattr(outbox, "PAUSE_SECONDS", 0.05)
    exporter = Exporter()
    exporter.result = SpanExportResult.FAILURE
    box = box_of(exporter)
    box.start()
    put(box, 0, 3)
    wait_until(lambda: box.lost + told(logged) == 3)
    exporter.result = SpanExportResult.SUCCESS
    put(box, 3, 2)
    wait_until(lambda: exporter.sent == ["3", "4"])
    box.shutdown()
    assert told(logged) == 3


def test_a_fault_of_the_exporter_ends_nothing(monkeypatch: pytest.MonkeyPatch, logged: io.StringIO) -> None:
    monkeypatch.setattr(outbox, "PAUSE_SECONDS", 0.05)
    exporter = Exporter()
    exporter.fault = RuntimeError("boom")
    box = box_of(exporter)
    box.start()
    put(box, 0, 1)
    wait_until(lambda: "traces_fault" in logged.getvalue())
    exporter.fault = None
    put(box, 1, 1)
    wait_until(lambda: exporter.sent == ["1"])
    box.shutdown()


def test_losses_are_told_once_a_minute(monkeypatch: pytest.MonkeyPatch, logged: io.StringIO) -> None:
    now = [0.0]
    exporter = Exporter()
    box = Outbox(exporter, 1, 0.01, lambda: now[0])
    box.start()
    for round_ in range(5):
        put(box, 0, 10)
        wait_until(lambda wanted=round_ + 1: len(exporter.sent) >= wanted)  # type: ignore[misc]
    assert logged.getvalue().count("traces_lost") <= 1
    now[0] = 61.0
    wait_until(lambda: logged.getvalue().count("traces_lost") == 2 or box.lost == 0)
    box.shutdown()


def test_one_that_was_never_started_can_be_ended() -> None:
    exporter = Exporter()
    box_of(exporter).shutdown()
    assert exporter.is_shut
