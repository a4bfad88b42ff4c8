"""What a decision may read is known from its rules, and where it cannot be known, all counts as read."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from controlplane.history.sources import read_sources
from controlplane.sidecar import OpaBinary

HEAD = "package ztfm.inference\n\nimport data.ztfm.lib.subject\n\ndecision := count(proven)\n\n"
LIB = 'package ztfm.lib.subject\n\nproven contains "known" if input.subject.properties.status == "active"\n'


async def reads(opa: OpaBinary, folder: Path, rule: str, path: Sequence[str]) -> bool:
    for name, text in (("ztfm/inference/policy.rego", HEAD + rule + "\n"), ("ztfm/lib/subject/subject.rego", LIB)):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return (await read_sources(opa, folder)).reads("ztfm.inference", path)


ROLE = ("claims", "subject", "role")


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ('proven contains "a" if input.claims.subject.role == "x"', ROLE, True),
        ('proven contains "a" if input.claims.subject.other == "x"', ROLE, False),
        ('proven contains "a" if input.claims.subject.role == "x"', ("claims", "subject"), True),
        ('proven contains "a" if some claim in input.claims.subject', ROLE, True),
        ('proven contains "a" if {said := input.claims; said.subject.role == "x"}', ROLE, True),
        ('proven contains "a" if input.claims[part].role == "x"', ROLE, True),
        ('proven contains "a" if count(input) > 1', ROLE, True),
        ('proven contains "a" if {name := "claims"; input[name] != null}', ROLE, True),
        ('proven contains "a" if subject.proven["known"]', ("subject", "properties", "status"), True),
        ('proven contains "a" if subject.proven["known"]', ROLE, False),
        ('proven contains "a" if true', ("subject", "properties", "status"), False),
        ('proven contains "a" if data.ztfm.lib[input.resource.type].proven', ROLE, True),
        ('unused contains "a" if input.claims.subject.role == "x"\n\nproven contains "a" if true', ROLE, False),
    ],
)
async def test_reading_is_told_from_the_rules_that_decide(
    opa: OpaBinary, tmp_path: Path, rule: str, path: Sequence[str], expected: bool
) -> None:
    assert await reads(opa, tmp_path, rule, path) is expected
