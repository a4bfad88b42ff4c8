"""Our builtins beside OPA's own, on operands that nobody means."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from controlplane.bundles.builtins import Unsupported, clock, sprintf
from controlplane.bundles.embedded import CompiledPolicy
from controlplane.bundles.instances import EmbeddedLimits
from tests.controlplane.bundles.rego import answered_by_opa, compiled

PROBE = """package probe

answers.weekday[id] := found if {
	some id, moment in input.moments
	found := time.weekday(moment)
}

answers.clock[id] := found if {
	some id, moment in input.moments
	found := time.clock(moment)
}

answers.date[id] := found if {
	some id, moment in input.moments
	found := time.date(moment)
}

answers.parsed[id] := found if {
	some id, text in input.times
	found := time.parse_rfc3339_ns(text)
}

answers.contains[id] := found if {
	some id, pair in input.networks
	found := net.cidr_contains(pair[0], pair[1])
}

answers.text[id] := found if {
	some id, pair in input.texts
	found := sprintf(pair[0], pair[1])
}
"""
MOMENTS: list[Any] = ["x", None, True, [], {}, ["x"], [1], [5, "UTC"], [5, ""], [5, "UTC", "x"], [5, "UTC", 1], [5, 3]]
MOMENTS += [0, 1, -1, 1.5, -0.0, 1e18, 1e19, 1e300, 1e-300, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30]
MOMENTS += [86_399_999_999_999, 86_400_000_000_000, -86_400_000_000_001]
SPELT = ["1700000000000000000.1", "1700000000000000000.01", "1700000000000000000.06", "1700000000000000000.0625"]
SPELT += ["9223372036854775807.2", "9223372036854775807.0", "1.7e18", "170e16", "1700000000000000000000e-3", "0.1e1"]
SPELT += ["1e-1", "0e5", "1E+18", "-1.5e3", "12345678901234567890123e-4", "1e40", "1e-40", "1e-50"]
DAY = "2026-11-26T12:00:00"
TIMES: list[Any] = [f"{DAY}{end}" for end in ("Z", "z", ".123456789123Z", ",5Z", ".Z", "+24:60", "-24:00", "+25:00")]
TIMES += [f"{DAY}{end}" for end in ("+01:61", "", "Z ", "Z\n", "+00:00", "\u221201:00", "+0100", "+1:00", ".5+01:30")]
TIMES += ["2026-11-26t12:00:00Z", "2026-11-26T1:00:00Z", "2026-11-26T012:00:00Z", "2026-11-26 12:00:00Z"]
TIMES += ["2026-11-26T24:00:00Z", "2026-11-26T23:59:60Z", "2026-11-26T12:60:00Z", "2026-02-29T00:00:00Z"]
TIMES += ["2024-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "0000-01-01T00:00:00Z"]
TIMES += ["1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775807Z"]
TIMES += ["2262-04-11T23:47:16.854775808Z", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-11-31T00:00:00Z"]
TIMES += ["2262-04-12T00:47:16+02:00", "1677-09-20T22:12:44-02:00", "\u0662026-11-26T12:00:00Z", "", 5, None]
TEXTS: list[Any] = [["a%sb", ["x"]], ["%d", [5]], ["%d", [10**30]], ["%v %v", ["a", True]], ["100%%", []]]
TEXTS += [["%s", ["\u00fc"]], ["%v", [-5]], ["x", []], [5, []], ["%s", 5], ["%s%%", ["%d"]]]
NETWORKS = ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fe80::/10", "10.1.2.3/32", "2001:db8::/32", "10.0.0.0/33", "10.0.0.0"]
NETWORKS += ["010.0.0.0/8", "", "10.0.0.0/-1", "1.2.3/8", "::1/128", "1::2::3/8", ":/0"]
ADDRESSES: list[Any] = ["10.1.2.3", "::1", "::", "fe80::1", "fe80::1%eth0", "10.1.2.3/32", "10.0.0.0/8", "10.0.0.0/7"]
ADDRESSES += ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", "", "x", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", 5, None]
ADDRESSES += ["1:2:3:4:5:6:1.2.3.4", "::1.2.3.4", "12345::", "g::", "2001:DB8::1", "2001:db8::/33", " 1.2.3.4", "::/96"]


def _changed(texts: list[str], count: int, chance: random.Random) -> list[str]:
    found = []
    for _ in range(count):
        letters = list(chance.choice(texts))
        place = chance.randrange(len(letters))
        match chance.randrange(3):
            case 0:
                letters[place] = chance.choice("0123456789-:TZ.,+ tz")
            case 1:
                letters.insert(place, chance.choice("0123456789-:TZ.,+ tz"))
            case _:
                del letters[place]
        found.append("".join(letters))
    return found


def _questions() -> dict[str, list[str]]:
    chance = random.Random(7)
    moments = MOMENTS + [chance.randrange(-(2**63), 2**63) for _ in range(300)]
    moments += [chance.uniform(-1e19, 1e19) for _ in range(300)] + [chance.randrange(10**18) + 0.5 for _ in range(50)]
    times = TIMES + _changed([text for text in TIMES[:40] if isinstance(text, str) and text], 3_000, chance)
    networks: list[Any] = [[network, address] for network in NETWORKS for address in ADDRESSES]
    for _ in range(500):
        first, second = (".".join(str(chance.randrange(256)) for _ in range(4)) for _ in range(2))
        networks.append([f"{first}/{chance.randrange(33)}", second])
    return {
        "moments": [*map(json.dumps, moments), *SPELT],
        "times": [*map(json.dumps, times)],
        "networks": [*map(json.dumps, networks)],
        "texts": [*map(json.dumps, TEXTS)],
    }


def test_builtins_answer_as_opas_own(tmp_path: Path) -> None:
    (tmp_path / "probe.rego").write_text(PROBE)
    questions = _questions()
    body = ",".join(
        f'"{kind}":{{{",".join(f"{chr(34)}{number}{chr(34)}:{item}" for number, item in enumerate(items))}}}'
        for kind, items in questions.items()
    )
    facts = f"{{{body}}}".encode()
    policy = CompiledPolicy(compiled(PROBE, "probe/answers"), {}, EmbeddedLimits(seconds=60.0))
    try:
        ours = policy.ask("probe/answers", facts)
    finally:
        policy.close()
    opas = answered_by_opa(tmp_path / "probe.rego", "data.probe.answers", facts)

    assert set(ours) == set(opas) == {"weekday", "clock", "date", "parsed", "contains", "text"}
    for kind, found in opas.items():
        assert ours[kind] == found, kind
        assert len(found) > 5, kind


@pytest.mark.parametrize("moment", [[5, "Europe/Berlin"], [5, "Local"]])
def test_another_time_zone_is_a_fault(moment: list[Any]) -> None:
    with pytest.raises(Unsupported):
        clock(moment)


@pytest.mark.parametrize(
    ("template", "operands"),
    [
        ("%d", ["x"]),
        ("%s", [5]),
        ("%x", [5]),
        ("%5d", [5]),
        ("%s", []),
        ("x", ["y"]),
        ("%v", [[1]]),
        ("%", []),
        ("%v", [None]),
    ],
)
def test_what_go_would_format_in_its_own_way_is_a_fault(template: str, operands: list[Any]) -> None:
    with pytest.raises(Unsupported):
        sprintf(template, operands)
