"""Rollbacks over the API: who may order one, what becomes of it, and who contributed."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from controlplane.contracts.rollback import Contribution
from controlplane.storage.contributions import add_contributions
from tests.support import MODEL, Caller, ControlPlane

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="session")
def administrator(plane: ControlPlane) -> Caller:
    return plane.enrol("administrator")


Rounds = Callable[..., list[str]]


@pytest.fixture
def rounds(plane: ControlPlane, aggregator: Caller, trainer: Caller, new_id: Callable[[], str]) -> Rounds:
    """Opens rounds one after the other, each with the subjects whose updates were admitted to it."""

    def open_them(*whose: Sequence[str], by: Caller = aggregator) -> list[str]:
        names = [f"rb-{new_id()}" for _ in whose]
        for name, subjects in zip(names, whose, strict=True):
            by.open_round(name, [trainer])
            rows = [
                Contribution(
                    round_id=name, subject=one, update_digest=DIGEST, decision_id=f"dec-{one}", time=plane.clock()
                )
                for one in subjects
            ]
            plane.run(plane.store._database.write("contribute", lambda c, rows=rows: add_contributions(c, rows)))
        return names

    return open_them


def order(caller: Caller, name: str, *subjects: str, **options: Any) -> Any:
    document = {"subjects": list(subjects), "reason": "It planted a backdoor."}
    return caller.post(f"/v1/rounds/{name}/rollback", document, **options)


def outcome(name: str, **changes: Any) -> dict[str, Any]:
    return {"round_id": name, "state": "done", "model_digest": DIGEST, "rounds": 2, "left_out": 1, **changes}


def test_an_operator_orders_a_rollback_once_and_it_is_on_record(
    plane: ControlPlane, operator: Caller, rounds: Rounds, logged: io.StringIO
) -> None:
    before = plane.metric("ztfm_rollbacks_total", outcome="ordered")
    first, second = rounds(["dev-x1", "dev-a"], ["dev-x1"])
    given = order(operator, first, "dev-x1").expect(201)
    assert (given["model"], given["round_id"], given["subjects"]) == (MODEL, first, ["dev-x1"])
    assert (given["ordered_by"], given["state"]) == (operator.id, "ordered")
    record = operator.get(f"/v1/decisions/{given['decision_id']}").expect(200)
    assert record["facts"]["action"]["name"] == "round:rollback"
    assert record["facts"]["resource"]["properties"]["reason"] == "It planted a backdoor."
    assert order(operator, second, "dev-x1").expect(200)["id"] == given["id"]
    assert plane.metric("ztfm_rollbacks_total", outcome="ordered") == before + 1
    assert "rollback_ordered" in logged.getvalue()


def test_an_administrator_may_order_one_too(administrator: Caller, rounds: Rounds) -> None:
    (name,) = rounds(["dev-x2"])
    order(administrator, name, "dev-x2").expect(201)


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway"])
def test_nobody_else_orders_reads_or_lists_any(plane: ControlPlane, rounds: Rounds, role: str) -> None:
    caller = plane.enrol(role)
    (name,) = rounds(["dev-x3"])
    assert order(caller, name, "dev-x3").kind == "denied"
    assert caller.get("/v1/rollbacks").kind == "denied"
    assert caller.get(f"/v1/rounds/{name}/contributions").kind == "denied"
    assert plane.run(plane.store.rollbacks.outstanding(MODEL)) == [
        one for one in plane.run(plane.store.rollbacks.outstanding(MODEL)) if "dev-x3" not in one.subjects
    ]


def test_a_stranger_is_not_let_in(plane: ControlPlane, rounds: Rounds) -> None:
    (name,) = rounds(["dev-x4"])
    assert order(plane.stranger(), name, "dev-x4").status == 401
    assert plane.call("POST", f"/v1/rounds/{name}/rollback", {"subjects": ["dev-x4"], "reason": "x"}).status == 401


def test_what_cannot_be_ordered_is_refused(operator: Caller, rounds: Rounds) -> None:
    (name,) = rounds(["dev-x5"])
    assert order(operator, "never-opened", "dev-x5").kind == "not-found"
    assert order(operator, name, "dev-who-contributed-nothing").kind == "conflict"
    assert order(operator, name).kind == "invalid-request"
    assert order(operator, name, "not a name").kind == "invalid-request"
    assert order(operator, name, "dev-x5", "dev-x5").kind == "invalid-request"
    bad = operator.post(f"/v1/rounds/{name}/rollback", {"subjects": ["dev-x5"], "reason": "two\nlines"})
    assert bad.kind == "invalid-request"


def test_an_order_that_is_sent_again_is_answered_again(operator: Caller, rounds: Rounds) -> None:
    (name,) = rounds(["dev-x6"])
    key = {"Idempotency-Key": "rollback-x6"}
    first, again = (order(operator, name, "dev-x6", headers=key) for _ in range(2))
    assert (first.expect(201), again.expect(201)) == (first.json, first.json)


def test_the_aggregator_that_opened_the_round_says_what_became_of_it(
    plane: ControlPlane, operator: Caller, aggregator: Caller, rounds: Rounds
) -> None:
    before = plane.metric("ztfm_rollbacks_total", outcome="done")
    (name,) = rounds(["dev-x7"])
    given = order(operator, name, "dev-x7").expect(201)["id"]
    path = f"/v1/rollbacks/{given}/result"
    other = plane.enrol("aggregator")
    assert other.post(path, outcome(name)).kind == "denied"
    assert operator.post(path, outcome(name)).kind == "denied"
    ended = aggregator.post(path, outcome(name)).expect(200)
    assert (ended["state"], ended["model_digest"], ended["rounds"], ended["left_out"]) == ("done", DIGEST, 2, 1)
    assert aggregator.post(path, outcome(name)).expect(200) == ended
    assert aggregator.post(path, outcome(name, state="failed", model_digest=None)).kind == "conflict"
    assert aggregator.post("/v1/rollbacks/rb-never/result", outcome(name)).status in (403, 404)
    assert plane.metric("ztfm_rollbacks_total", outcome="done") == before + 1


def test_orders_are_handed_out_with_verdicts_to_who_opened_their_first_round(
    plane: ControlPlane, operator: Caller, aggregator: Caller, trainer: Caller, rounds: Rounds
) -> None:
    other = plane.enrol("aggregator")
    (name,) = rounds(["dev-x10"])
    (foreign,) = rounds(["dev-x11"], by=other)
    given = order(operator, name, "dev-x10").expect(201)["id"]
    report = {"updates": [{"subject": trainer.id, "capability": None, "verification": {"verified": False}}]}

    def told(caller: Caller, reported: str) -> list[str]:
        found = caller.post(f"/v1/rounds/{reported}/updates", report).expect(200)
        return [one["id"] for one in found["rollbacks"]]

    assert given in told(aggregator, name)
    assert told(other, foreign) == []
    aggregator.post(f"/v1/rollbacks/{given}/result", outcome(name)).expect(200)
    assert given not in told(aggregator, name)


def test_names_that_contributed_nothing_are_left_out_and_keep_no_round_from_being_judged(
    plane: ControlPlane, operator: Caller, trainer: Caller, rounds: Rounds
) -> None:
    owner = plane.enrol("aggregator")
    (name,) = rounds(["dev-x12"], by=owner)
    strangers = [f"{number:0128d}" for number in range(900)]
    given = order(operator, name, "dev-x12", *strangers).expect(201)
    assert given["subjects"] == ["dev-x12"]
    assert order(operator, name, *strangers).kind == "conflict"
    report = {"updates": [{"subject": trainer.id, "capability": None, "verification": {"verified": False}}]}
    answer = owner.post(f"/v1/rounds/{name}/updates", report)
    assert answer.expect(200)["rollbacks"] == [given]
    assert len(answer.body) < 16 * 1024


def test_an_order_goes_to_the_aggregator_of_its_round_and_names_who_contributed_to_its_rounds(
    plane: ControlPlane, operator: Caller, rounds: Rounds
) -> None:
    (first,) = rounds(["dev-x13"])
    (foreign,) = rounds(["dev-x13", "dev-x14"], by=plane.enrol("aggregator"))
    assert order(operator, first, "dev-x14").kind == "conflict"
    assert order(operator, first, "dev-x13", "dev-x14").expect(201)["subjects"] == ["dev-x13"]
    assert order(operator, foreign, "dev-x13", "dev-x14").expect(201)["subjects"] == ["dev-x13", "dev-x14"]


def test_an_order_is_not_done_by_word_alone(
    plane: ControlPlane, operator: Caller, rounds: Rounds, logged: io.StringIO
) -> None:
    owner = plane.enrol("aggregator")
    (name,) = rounds(["dev-x15"], by=owner)
    given = order(operator, name, "dev-x15").expect(201)["id"]
    path, failed = f"/v1/rollbacks/{given}/result", plane.metric("ztfm_rollbacks_total", outcome="failed")
    assert owner.post(path, {"round_id": name, "state": "done"}).kind == "invalid-request"
    stated = outcome(name, model_digest="sha256:" + "b" * 64)
    assert owner.post(path, stated).expect(200)["state"] == "done"
    # The next round begins with other weights: it is open all the same, and the order has failed.
    rounds([], by=owner)
    listed = operator.get(f"/v1/rollbacks?model={MODEL}&state=failed").expect(200)["rollbacks"]
    [found] = [one for one in listed if one["id"] == given]
    assert "did not begin with the weights" in found["fault"]
    assert plane.metric("ztfm_rollbacks_total", outcome="failed") == failed + 1
    assert "rollback_not_carried_out" in logged.getvalue()
    assert order(operator, name, "dev-x15").expect(201)["id"] != given


def test_an_order_that_was_widened_meanwhile_is_not_done(
    plane: ControlPlane, operator: Caller, aggregator: Caller, rounds: Rounds
) -> None:
    first, second = rounds(["dev-x8"], ["dev-x8"])
    given = order(operator, second, "dev-x8").expect(201)["id"]
    wider = order(operator, first, "dev-x8").expect(200)
    assert (wider["id"], wider["round_id"]) == (given, first)
    path = f"/v1/rollbacks/{given}/result"
    assert aggregator.post(path, outcome(second)).kind == "conflict"
    assert aggregator.post(path, outcome(first)).expect(200)["state"] == "done"


def test_orders_and_contributions_are_listed(operator: Caller, aggregator: Caller, rounds: Rounds) -> None:
    (name,) = rounds(["dev-x9", "dev-b9"])
    given = order(operator, name, "dev-x9").expect(201)
    found = operator.get(f"/v1/rollbacks?model={MODEL}&state=ordered&limit=1").expect(200)["rollbacks"]
    assert [one["id"] for one in found] == [given["id"]]
    aggregator.post(f"/v1/rollbacks/{given['id']}/result", outcome(name)).expect(200)
    found = operator.get("/v1/rollbacks?state=done").expect(200)["rollbacks"]
    assert given["id"] in [one["id"] for one in found]
    assert operator.get("/v1/rollbacks?model=fall-detection").expect(200) == {"rollbacks": []}
    listed = operator.get(f"/v1/rounds/{name}/contributions").expect(200)["contributions"]
    assert [(one["subject"], one["update_digest"]) for one in listed] == [("dev-b9", DIGEST), ("dev-x9", DIGEST)]
    assert operator.get("/v1/rounds/never-opened/contributions").kind == "not-found"


@pytest.mark.parametrize(
    "query", ["state=gone", "limit=0", "limit=x", "limit=1001", "model=%20", "colour=red", "limit=1&limit=2"]
)
def test_a_query_that_does_not_fit_is_refused(operator: Caller, query: str) -> None:
    assert operator.get(f"/v1/rollbacks?{query}").kind == "invalid-request"
