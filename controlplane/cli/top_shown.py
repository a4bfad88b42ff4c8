"""How ``ztfm top`` looks: a frame as lines for a terminal of any width, the most important first."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controlplane.cli.top_frame import Engine, Frame
from controlplane.contracts.decision import Decision
from controlplane.contracts.rounds import RoundStanding
from controlplane.contracts.standing import BehaviourStanding

WIDE = 156
"""Columns from which on two halves stand side by side, with whole names in each."""

ROOMY = 48
"""Rows from which on there is room for empty ones where everything stands in one column."""

_BACK_SECONDS = 60.0
_OUTCOMES = {"allow": "green", "deny": "yellow", "error": "red"}
_STANDS = {"trusted": "green", "watched": "", "recovering": "cyan", "quarantined": "red", "held": "red"}
_UNKNOWN = "-"


class Sizes(NamedTuple):
    """How many rows of each list there is room for."""

    decisions: int
    reasons: int
    least: int
    rounds: int
    denied: int


def shown(frame: Frame, width: int, height: int | None = None, *, is_watched: bool = False) -> RenderableType:
    """Return a frame for a terminal.

    Args:
        frame: what is shown.
        width: of the terminal, columns.
        height: rows that there are; none for as many as it takes.
        is_watched: say which key ends it.
    """
    is_wide = width >= WIDE
    head = list(_head(frame, is_watched))
    gap = [Text()] if is_wide or height is None or height >= ROOMY else []
    sizes = _sizes(None if height is None else height - len(head), is_wide, bool(gap))
    left = [*_decisions(frame, sizes.decisions), *gap, *_reasons(frame, sizes.reasons)]
    right = [*_policy(frame), *gap, *_trust(frame, sizes.least), *gap, *_rounds(frame, sizes.rounds)]
    parts: list[RenderableType] = [*head, *gap]
    if is_wide:
        halves = Table.grid(padding=(0, 2), expand=True)
        for _ in range(2):
            halves.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        halves.add_row(Group(*map(_fitting, left)), Group(*map(_fitting, right)))
        parts.append(halves)
    else:
        parts += [*left, *gap, *right]
    parts += [*gap, *_denied(frame, sizes.denied, is_wide)]
    return Group(*map(_fitting, parts))


def _fitting(part: RenderableType) -> RenderableType:
    if isinstance(part, Text):
        part.no_wrap, part.overflow = True, "ellipsis"
    return part


def _sizes(height: int | None, is_wide: bool, is_roomy: bool) -> Sizes:
    """Return how many rows each list may have, below the head."""
    if height is None:
        return Sizes(8, 6, 8, 8, 8)
    if is_wide:
        denied = max(1, height // 5)
        half = height - denied - 4
        decisions, least = max(1, (half - 4) // 2), max(1, (half - 6) * 3 // 5)
        return Sizes(decisions, max(1, half - 5 - decisions), least, max(1, half - 6 - least), denied)
    # Six titles and lines of their own, two that say that there is more, and the command at the end.
    room = height - (16 if is_roomy else 10)
    denied = max(1, room // 8)
    rest = room - 2 * denied
    decisions, reasons, least = max(1, rest * 3 // 10), max(1, rest // 5), max(1, rest // 4)
    return Sizes(decisions, reasons, least, max(1, rest - decisions - reasons - least), denied)


def _head(frame: Frame, is_watched: bool) -> Iterator[Text]:
    words = {True: ("ready", "bold green"), False: ("NOT READY", "bold red"), None: ("unknown", "bold yellow")}
    state, style = words[frame.ready] if frame.answers else ("AWAY", "bold red")
    at = time.strftime("%H:%M:%S UTC", time.gmtime(frame.time))
    yield Text.assemble(("ztfm top", "bold"), f"  {frame.place}  ", (state, style), f"  {at}", "  q ends" * is_watched)
    if frame.away_since is not None:
        yield Text(f"away for {_lasting(frame.time - frame.away_since)}; it is asked again", "red")
    elif frame.back_since is not None and frame.time - frame.back_since < _BACK_SECONDS:
        yield Text(f"answers again for {_lasting(frame.time - frame.back_since)}", "green")
    for one in frame.wrong:
        yield Text.assemble(("! ", "bold red"), (one.what, "red"), f"  ({one.remedy})")
    if not frame.wrong and frame.ready:
        yield Text("nothing is wrong now", "green")


def _decisions(frame: Frame, most: int) -> Iterator[Text]:
    over = f" over {frame.window_seconds:.1f} s" if frame.window_seconds else ""
    times = f"p50 {_milliseconds(frame.p50_seconds)}, p99 {_milliseconds(frame.p99_seconds)}"
    yield _title("decisions", f"{_summed(one.per_second for one in frame.decisions)}/s{over}, {times}")
    for one in frame.decisions[:most]:
        figures = f"{_figure(one.per_second):>9}/s {one.total:>12,.0f}"
        yield Text.assemble(f"  {one.action:20} ", (f"{one.outcome:6}", _OUTCOMES.get(one.outcome, "")), figures)
    yield from _rest(len(frame.decisions) - most)


def _reasons(frame: Frame, most: int) -> Iterator[Text]:
    yield _title("missing in denials", "" if frame.reasons else "nothing" if frame.window_seconds else _UNKNOWN)
    for one in frame.reasons[:most]:
        yield Text(f"  {one.reason:27}{_figure(one.per_second):>9}/s {one.total:>12,.0f}  {one.action}")
    yield from _rest(len(frame.reasons) - most)


def _policy(frame: Frame) -> Iterator[Text]:
    age = "" if frame.policy_age_seconds is None else f"published {_lasting(frame.policy_age_seconds)} ago"
    yield _title("policy", f"{frame.policy_revision or _UNKNOWN}  {age}")
    for layer in frame.layers[1:]:
        yield Text(f"  {layer.get('layer')}: {layer.get('active_revision') or _UNKNOWN}")
    yield _engine(frame.engine)


def _engine(engine: Engine | None) -> Text:
    if engine is None:
        return _title("engine", _UNKNOWN)
    failed = engine.failed_per_second or 0.0
    circuit = ("OPEN", "bold red") if engine.circuit_open else ("closed", "green")
    said = f"{_figure(engine.calls_per_second)} calls/s, p99 {_milliseconds(engine.p99_seconds)}, "
    said += f"queue {engine.queue:,.0f}, circuit "
    rest = f", {_figure(failed)} failed/s" * bool(failed) + f", {engine.restarts:.0f} restarts" * bool(engine.restarts)
    return Text.assemble((f"{engine.name or 'engine'}  ", "bold"), said, circuit, rest)


def _trust(frame: Frame, most: int) -> Iterator[Text]:
    title = _title("subjects", "" if frame.subjects else _UNKNOWN)
    for place, (state, many) in enumerate(frame.subjects.items()):
        title.append(", " * bool(place))
        title.append(f"{many:,} {state}", _STANDS.get(state, "") if many else "dim")
    yield title
    for one in frame.least[:most]:
        stands = _stands(one)
        seen = f"  {one.subject:47}  {one.trust.score:.3f} after {one.trust.observations:<4} "
        yield Text.assemble(
            seen, (f"{stands:11}", _STANDS.get(stands, "")), f"  evidence {one.e_value:.3g}  {one.segment}"
        )


def _rounds(frame: Frame, most: int) -> Iterator[Text]:
    is_open = sum(one.state == "open" for one in frame.rounds)
    yield _title("rounds", f"{is_open} open of the newest {len(frame.rounds)}" if frame.rounds else "none")
    for one in frame.rounds[:most]:
        yield _round(one, frame.time)


def _round(one: RoundStanding, now: float) -> Text:
    state = ("open  ", "green") if one.state == "open" else ("closed", "dim")
    when = f"for {_lasting(one.closes_at - now)}" if one.state == "open" else f"{_lasting(now - one.opens_at)} ago"
    dropped = (f"{one.dropped} dropped", "yellow" if one.dropped else "")
    came = f"  of {one.members}: {one.accepted} accepted, "
    return Text.assemble("  ", state, f" {when:9}", came, dropped, f"  {one.id}")


def _denied(frame: Frame, most: int, is_wide: bool) -> Iterator[Text]:
    yield _title("last denied", "" if frame.denied else "none in the last hour")
    for one in frame.denied[:most]:
        yield from _denial(one, is_wide)
    if frame.denied:
        yield Text.assemble("why: ", (f"ztfm policy explain {frame.denied[0].id}", "bold cyan"))


def _denial(one: Decision, is_wide: bool) -> Iterator[Text]:
    at = time.strftime("%H:%M:%S", time.gmtime(one.time))
    what = Text.assemble(f"  {at} ", (f"{one.outcome:6}", _OUTCOMES.get(one.outcome, "")))
    codes = ", ".join(reason.code for reason in one.reasons)
    if is_wide:
        what.append(f"{one.id}  {one.action}  {codes}  {one.subject}")
        yield what
        return
    what.append(f"{one.action}  {codes}")
    yield what
    yield Text(f"           {one.id}")


def _stands(one: BehaviourStanding) -> str:
    return "held" if one.held else one.state


def _title(name: str, rest: str) -> Text:
    return Text.assemble((f"{name}  ", "bold"), rest)


def _rest(many: int) -> Iterator[Text]:
    if many > 0:
        yield Text(f"  and {many} more", "dim")


def _figure(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _summed(values: Iterable[float | None]) -> str:
    known: Sequence[float] = [value for value in values if value is not None]
    return _figure(sum(known) if known else None)


def _milliseconds(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds * 1000:.1f} ms"


def _lasting(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
