"""A node stays whose it is, also after a restart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.credentials import RoundTerms
from adapters.flower.proxy.bindings import NODES_A_SUBJECT, Bindings
from adapters.flower.proxy.headers import AnnouncedRound, content_digest, passed_on, read_capability, read_digest

DIGEST = "sha256:" + "d" * 64


def test_what_is_bound_stays_so_after_a_restart(tmp_path: Path) -> None:
    assert Bindings(tmp_path).bind(7, "dev-a", b"key-a")
    again = Bindings(tmp_path)
    assert (again.subject(7), again.owner(b"key-a")) == ("dev-a", "dev-a")
    assert not again.bind(7, "dev-b", b"key-b")
    assert not again.bind(8, "dev-b", b"key-a")
    assert (again.subject(7), again.subject(8), again.owner(b"key-b")) == ("dev-a", None, None)


def test_a_node_that_is_no_more_is_nobodys(tmp_path: Path) -> None:
    kept = Bindings(tmp_path)
    kept.bind(7, "dev-a", b"key-a")
    kept.release(7)
    assert (Bindings(tmp_path).subject(7), Bindings(tmp_path).owner(b"key-a")) == (None, None)
    assert kept.bind(7, "dev-b", b"key-b")


def test_only_the_latest_nodes_of_a_device_are_kept(tmp_path: Path) -> None:
    kept = Bindings(tmp_path)
    for number in range(NODES_A_SUBJECT + 3):
        kept.bind(number, "dev-a", str(number).encode())
    for found in (kept, Bindings(tmp_path)):
        assert [found.subject(number) for number in (0, 2, 3)] == [None, None, "dev-a"]


@pytest.mark.parametrize("content", ["{", "[]", '{"node": "x", "subject": "a", "key": "b"}', '{"subject": "a"}'])
def test_a_file_that_binds_nothing_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nodes.jsonl"
    path.write_text(content + "\n")
    path.chmod(0o600)
    with pytest.raises(ValueError, match=r"nodes\.jsonl, line 1"):
        Bindings(tmp_path)


def test_a_file_that_others_can_reach_is_not_believed(tmp_path: Path) -> None:
    Bindings(tmp_path).bind(7, "dev-a", b"key-a")
    (tmp_path / "nodes.jsonl").chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        Bindings(tmp_path)


@given(st.sampled_from(["train", "evaluate"]))
def test_a_round_survives_its_header(stage: str) -> None:
    announced = AnnouncedRound(RoundTerms("run-1", "model", DIGEST, "fleet-1"), stage)  # type: ignore[arg-type]
    assert AnnouncedRound.from_header(announced.to_header()) == announced


@given(st.text(max_size=200))
def test_any_other_header_names_no_round(value: str) -> None:
    assert AnnouncedRound.from_header(value) is None


@given(st.binary(max_size=64))
def test_a_digest_is_read_as_it_was_written(body: bytes) -> None:
    found = read_digest([content_digest(body)])
    assert found is not None
    assert found.startswith("sha256:")
    assert read_digest([content_digest(body), content_digest(body)]) is None


def test_one_readable_header_counts_and_no_other() -> None:
    assert read_capability(["DPoP a.b.c"]) == "a.b.c"
    for values in ([], ["Bearer a.b.c"], ["DPoP a", "DPoP b"], ["DPoP " + "a" * 9000], ["DPoP a b"]):
        assert read_capability(values) is None
    for value in ("sha-256=:x:", "sha-512=:" + "A" * 43 + "=:", ""):
        assert read_digest([value]) is None


def test_of_a_request_only_what_flower_reads_is_passed_on() -> None:
    sent = {"flwr-signature": "s", "Flwr-Timestamp": "t", "Content-Type": "c", "DPoP": "p", "Authorization": "a"}
    assert set(passed_on({**sent, "Cookie": "c", "Host": "h", "Ztfm-Round": "r"})) == {
        "flwr-signature",
        "Flwr-Timestamp",
        "Content-Type",
    }
