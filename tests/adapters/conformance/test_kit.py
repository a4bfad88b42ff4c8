"""The kit passes adapters that keep the seam, and fails those which do not. One control plane for all of them."""

from collections.abc import Iterator

import pytest

from adapters.conformance.cases import CASES, named
from adapters.conformance.kit import Kit, Result, companies, opened
from adapters.conformance.worker import Worker, WorkerFailed

pytestmark = pytest.mark.minutes

PYTORCH = "adapters.conformance.backends.pytorch"
TEMPLATE = "examples.adapter_template.conformance"
WRONG = "tests.adapters.conformance.wrong"

OF_EACH_KIND = (
    "honest",
    "stranger",
    "impostor",
    "borrowed-pull",
    "replayed-submission",
    "twin",
    "wrong-shape",
    "sign-flip",
    "failing",
    "dying",
    "hanging",
    "revoked-meanwhile",
)


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with opened(CASES) as found:
        yield found


@pytest.fixture(scope="module")
def pytorch() -> Iterator[Worker]:
    with Worker(PYTORCH) as found:
        yield found


def results(kit: Kit, module: str, *names: str) -> dict[str, Result]:
    with Worker(module) as worker:
        return {result.case.name: result for result in kit.check(worker, [named(name) for name in names])}


def only(kit: Kit, module: str, name: str) -> Result:
    [result] = results(kit, f"{WRONG}.{module}", name).values()
    return result


@pytest.mark.parametrize("name", [case.name for case in CASES if case.name != "dying"])
def test_a_plain_pytorch_loop_keeps_every_case(kit: Kit, pytorch: Worker, name: str) -> None:
    [result] = kit.check(pytorch, [named(name)])
    assert (result.verdict, result.faults) == ("held", ())


def test_a_client_s_process_cannot_end_where_it_is_the_loop_s_own(kit: Kit, pytorch: Worker) -> None:
    [result] = kit.check(pytorch, [named("dying")])
    assert (result.verdict, result.faults) == ("not applicable", ("clients are threads of the loop's own process",))


def test_the_template_keeps_a_case_of_each_kind(kit: Kit) -> None:
    found = results(kit, TEMPLATE, *OF_EACH_KIND)
    assert {name: result.faults for name, result in found.items() if result.verdict != "held"} == {}


def test_where_a_start_is_dear_cases_share_jobs_and_hold_beside_each_other(kit: Kit) -> None:
    found = results(kit, f"{WRONG}.starts_dearly", *(case.name for case in CASES if case.company))
    assert {name: result.faults for name, result in found.items() if result.verdict == "failed"} == {}
    assert len(found) == len([case for case in CASES if case.company])


def test_an_adapter_that_is_wrong_is_found_out_in_a_job_that_cases_share(kit: Kit) -> None:
    found = results(kit, f"{WRONG}.ignores_the_gate_dearly", "tampered", "wrong-shape", "pull-to-submit")
    assert {result.verdict for result in found.values()} == {"failed"}


SUMMED = [case.name for case in CASES if case.is_summed]


def test_a_backend_that_makes_no_sums_holds_where_it_opens_no_round_and_nobody_is_asked(kit: Kit) -> None:
    found = results(kit, TEMPLATE, *SUMMED)
    assert {name: (result.verdict, result.faults) for name, result in found.items()} == dict.fromkeys(
        SUMMED, ("held", ())
    )


def test_a_backend_that_takes_updates_in_which_should_be_summed_is_found_out(kit: Kit) -> None:
    found = results(kit, f"{WRONG}.accepts_all", *SUMMED)
    assert {result.verdict for result in found.values()} == {"failed"}
    assert "the model moved, and no secure sum was made" in found["leaving-a-sum"].faults


def test_an_adapter_that_asks_nobody_is_found_out(kit: Kit) -> None:
    found = results(kit, f"{WRONG}.accepts_all", "honest", "sign-flip", "stranger")
    assert {result.verdict for result in found.values()} == {"failed"}
    assert "of the way beside it" in " ".join(found["sign-flip"].faults)
    assert "it was given the weights, which it must not have" in found["stranger"].faults


def test_an_adapter_that_aggregates_what_the_gate_refused_is_found_out(kit: Kit) -> None:
    result = only(kit, "ignores_the_gate", "tampered")
    assert result.verdict == "failed"
    [fault] = result.faults
    assert fault.startswith("the model is not the mean of the updates that belong in it")


def test_an_adapter_that_one_client_can_stop_is_found_out_and_the_next_case_runs(kit: Kit) -> None:
    found = results(kit, f"{WRONG}.lets_a_client_stop_it", "failing", "hanging", "twin", "honest")
    assert "the job was stopped: RuntimeError" in found["failing"].faults[0]
    assert found["hanging"].faults == ("the job did not end within 6 s",)
    assert (found["twin"].verdict, found["twin"].faults) == (
        "not applicable",
        ("clients are told apart by their place in a list",),
    )
    assert found["honest"].verdict == "held"


def test_an_adapter_that_hands_out_weights_before_it_asks_is_found_out(kit: Kit) -> None:
    assert only(kit, "hands_out_weights", "stale-pull").faults == ("it was given the weights, which it must not have",)


def test_a_backend_that_ends_its_process_fails_the_case_with_its_last_words(kit: Kit) -> None:
    [fault] = only(kit, "ends_its_process", "honest").faults
    assert "ended with status 3" in fault
    assert "the backend says goodbye" in fault


@pytest.mark.parametrize(
    ("module", "why"),
    [("no_such_backend", "No module named 'no_such_backend'"), ("adapters.errors", "has no attribute 'federation'")],
)
def test_a_module_that_cannot_be_used_is_no_backend(module: str, why: str) -> None:
    with pytest.raises(WorkerFailed, match=why), Worker(module):
        pass


def test_a_backend_excuses_nothing_that_there_is_not(kit: Kit) -> None:
    with pytest.raises(ValueError, match="sign-flop"):
        only(kit, "excuses_what_there_is_not", "honest")


def test_nothing_of_the_kit_is_left_behind() -> None:
    with opened([named("honest")]) as kit:
        folder, plane = kit._folder, kit._plane
        process = plane._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
    assert not folder.exists()


def test_cases_share_a_job_within_their_company_and_no_more_than_the_backend_takes() -> None:
    alone = [case for case in CASES if not case.is_summed]
    assert companies(alone, 1) == [[case] for case in alone]
    assert companies(CASES, 1) == [*([case] for case in alone), [named(name) for name in SUMMED]]
    shared = companies(CASES, 5)
    assert sorted(case.name for one in shared for case in one) == sorted(case.name for case in CASES)
    assert all(len({case.company for case in one}) == 1 and len(one) <= 5 for one in shared)
    assert all(len(one) == 1 for one in shared if not one[0].company)
    assert len(companies(CASES, len(CASES))) == len({case.company for case in CASES if case.company}) + len(
        [case for case in CASES if not case.company]
    )
