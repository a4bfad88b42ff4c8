"""The revision of decisions says by which release of each layer they were made."""

from controlplane.releases.revisions import PublicationTimes, split


def test_a_revision_names_each_layer_that_decided() -> None:
    assert split("abc.1") == {"base": "abc.1"}
    assert split("abc.1+tenant:t.2+site:s.3") == {"base": "abc.1", "tenant": "t.2", "site": "s.3"}
    assert split("abc.1+site:none") == {"base": "abc.1", "site": ""}


def test_what_decides_is_as_old_as_the_newest_of_its_parts() -> None:
    times = PublicationTimes()
    assert times.at("abc.1") is None
    times.note("base", {"abc.1": 10.0, "abc.0": 5.0})
    times.note("site", {"s.3": 20.0})
    assert times.at("abc.1") == 10.0
    assert times.at("abc.0") == 5.0
    assert times.at("abc.1+site:s.3") == 20.0
    assert times.at("abc.1+site:none") == 10.0


def test_the_age_of_what_is_not_known_in_part_is_not_known() -> None:
    times = PublicationTimes()
    times.note("base", {"abc.1": 10.0})
    assert times.at("abc.1+site:s.3") is None
    assert times.at("abc.2") is None
    assert times.at("") is None
    times.note("site", {"s.3": 20.0})
    assert times.at("abc.1+site:s.3") == 20.0


def test_what_is_remembered_is_bounded() -> None:
    times = PublicationTimes()
    for number in range(5_000):
        assert times.at(f"made-up.{number}") is None
    assert len(times._combined) <= 256
