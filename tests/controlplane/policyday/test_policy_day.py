"""A policy author's day, with a control plane that serves all the while: nothing that an author does stops anybody."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from controlplane.bundles import BundleSigner
from tests.controlplane.cli.processes import ZTFM
from tests.controlplane.policyday import spoilt
from tests.controlplane.policyday.installation import (
    TAKES_OVER_SECONDS,
    Author,
    Installation,
    Traffic,
    codes,
    infer,
    rewrite,
)
from tests.support import DIGEST, Caller, Reply, wait_until

SITE_WINDOW = "tide"
DAY = 1_763_000_000 // 86_400 * 86_400
ASKED_ABOUT_DOORS = {"action": {"name": "read"}, "resource": {"type": "door", "id": "first"}}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with a short path for all that the author writes."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name, pytest.MonkeyPatch.context() as patch:
        for module in ("serve", "policy_published", "policy_shadow"):
            patch.setattr(f"controlplane.cli.{module}.configure_logs", lambda *_, **__: None)
        yield Path(name)


@pytest.fixture(scope="module")
def author(place: Path) -> Author:
    state = place / "state"
    state.mkdir(mode=0o700)
    return Author({"ZTFM_STATE_DIR": str(state), "ZTFM_POLICY_LAYERS": "site", "COLUMNS": "200"})


@pytest.fixture(scope="module")
def site(place: Path, author: Author) -> Path:
    """The site's own policies: the demo's model is pulled in a window of the day, which is closed now."""
    folder = place / "site"
    author("new", SITE_WINDOW, "--layer", "site", "--policies", folder)

    opens = (time.time() % 86_400 + 21_600) % 72_000

    def close(data: Any) -> None:
        data["models"]["smart-home-intents"] = True
        data["opens_at_second"], data["closes_at_second"] = int(opens), int(opens) + 3_600

    rewrite(folder / "site" / "data" / SITE_WINDOW / "data.json", close)
    for example, second in ((f"allowed_{SITE_WINDOW}_open", opens + 60), (f"denied_{SITE_WINDOW}_closed", 80_000)):
        asked = folder / "site" / "examples" / "model_access" / f"{example}.json"
        rewrite(asked, lambda found, at=DAY + second: found["input"]["context"].update(time=at))
    return folder


@pytest.fixture(scope="module")
def here(author: Author, site: Path, place: Path) -> Iterator[Installation]:
    """The site's policies are published before the first start, as they must be; then it serves."""
    author("publish", "--layer", "site", "--policies", site)
    found = Installation(place / "state", author)
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def home(here: Installation) -> Caller:
    return here.enrol("consumer", "homes")


@pytest.fixture(scope="module")
def core(here: Installation) -> Caller:
    return here.enrol("consumer", "core")


@pytest.fixture(scope="module")
def gateway(here: Installation) -> Caller:
    return here.enrol("gateway", "core")


@pytest.fixture(scope="module")
def doors(place: Path, author: Author) -> Path:
    """The author's policies: those of the product and a decision about doors."""
    folder = place / "policies"
    author("new", "door", "--policies", folder)
    return folder


@pytest.fixture(scope="module")
def published(here: Installation, author: Author, doors: Path) -> str:
    """The revision of the author's policies, which decide from here on."""
    revision = str(author.says("publish", "--policies", doors)["revision"])
    here.decides_by(revision)
    return revision


@pytest.fixture(scope="module")
def candidate(place: Path, doors: Path) -> Path:
    """A candidate by which no device of a home asks from this machine any more; its tests say so too."""
    folder = place / "candidate"
    shutil.copytree(doors, folder)
    rewrite(folder / "data" / "segments" / "data.json", lambda data: data["homes"]["networks"].pop("127.0.0.0/8"))
    tests = folder / "ztfm" / "lib" / "subject" / "subject_test.rego"
    text = tests.read_text()
    assert '"127.0.0.1", ' in text
    tests.write_text(text.replace('"127.0.0.1", ', "").replace(', "::ffff:127.0.0.1"', ""))
    return folder


def door(gateway: Caller, user: str) -> bool:
    asked = {"subject": {"type": "user", "id": user}, **ASKED_ABOUT_DOORS}
    return bool(gateway.post("/access/v1/evaluation", asked).expect(200)["decision"])


def test_a_decision_of_ones_own_is_made_tested_and_published_while_all_go_on(
    here: Installation, author: Author, core: Caller, gateway: Caller, doors: Path
) -> None:
    author("check", "--no-lint", "--policies", doors)
    author("test", "--policies", doors)
    author("eval", "door", "--policies", doors, "--input", "allowed_granted")
    author("eval", "door", "--policies", doors, "--input", "denied_not_granted", code=1)
    assert not door(gateway, "alice")
    before = here.ready()["policy_revision"]
    with Traffic(core).flowing() as traffic:
        wait_until(lambda: len(traffic.revisions) > 0)
        release = author.says("publish", "--policies", doors)
        here.decides_by(release["revision"])
        after = here.ready()["policy_revision"]
        wait_until(lambda: traffic.revisions[-1] == after)
    assert set(traffic.revisions) == {before, after}
    assert (door(gateway, "alice"), door(gateway, "mallory")) == (True, False)


def test_the_shadow_says_what_the_replay_said(
    here: Installation, author: Author, home: Caller, core: Caller, published: str, candidate: Path
) -> None:
    for device in (home, home, home, core):
        infer(device).expect(201)
    replayed = author.says("replay", "--candidate", candidate, "--action", "inference", code=1)
    denied = replayed["subjects"]["newly_denied"]
    assert [item["subject"] for item in denied["most"]] == [home.id]
    assert denied["most"][0]["count"] == replayed["changes"]["newly_denied"] >= 3
    started = author.says("shadow", "start", "--policies", candidate)
    assert started["revision"] == replayed["candidate_revision"]

    def has_compared() -> bool:
        infer(home).expect(201)
        infer(core).expect(201)
        time.sleep(0.2)
        return author.tries("policy", "shadow", "report").exit_code == 1

    with here.unchanged():
        wait_until(has_compared, 30, "the candidate decides")
        seen = author.says("shadow", "report", code=1)
        author("shadow", "stop")
    assert groups(seen) == groups(replayed) == {("newly_denied", "inference", "network_allowed", "homes")}
    assert (seen["failed"], seen["dropped"]) == (0, 0)
    assert seen["changes"]["newly_denied"] == seen["disagreed"]


def groups(report: Any) -> set[tuple[str, str, str, str]]:
    return {(item["change"], item["action"], item["reason"], item["segment"]) for item in report["groups"]}


def test_a_stricter_policy_is_explained_excepted_from_and_taken_back(
    here: Installation, author: Author, home: Caller, core: Caller, published: str, candidate: Path
) -> None:
    infer(home).expect(201)
    with Traffic(core).flowing():
        stricter = author.says("publish", "--policies", candidate)["revision"]
        here.decides_by(stricter)
        denied = infer(home)
        assert codes(denied) == ["network_allowed"]
        is_explained(author, denied.json["decision_id"], stricter)
        an_exception_lets_one_through(here, author, home)
        one_that_expired_lets_nobody_through(author, home)
        assert author.says("rollback")["revision"] == published
        here.decides_by(published)
        infer(home).expect(201)
    assert [item["origin"] for item in author.says("status")["layers"][0]["recent"][:2]] == ["rolled_back", "published"]


def is_explained(author: Author, decision: str, revision: str) -> None:
    found = author.says("explain", decision)
    assert revision in found["policies_revision"]
    assert (found["policies_are_those_that_decided"], found["policies_from"]) == (True, "release")
    [missing] = [item for item in found["requirements"] if not item["held"]]
    assert (missing["code"], missing["file"]) == ("network_allowed", "ztfm/lib/subject/subject.rego")
    assert missing["line"] > 0
    [nearest, *_] = found["nearest"]["alternatives"]
    assert [(change["path"], change["was"]) for change in nearest] == [("context.network.address", "127.0.0.1")]


EXCEPTION = ("--resource", "smart-home-intents", "--action", "inference", "--waive", "network_allowed")
WHY = ("--reason", "The uplink is replaced this week.", "--approver", "operator@example.org")


def an_exception_lets_one_through(here: Installation, author: Author, home: Caller) -> None:
    granted = author.says("exception", "grant", "--subject", home.id, *EXCEPTION, *WHY, "--for", "1h")
    wait_until(lambda: infer(home).status == 201, what="the exception counts")
    used = infer(home).expect(201)["decision_id"]
    record = home.get(f"/v1/decisions/{used}").expect(200)
    assert record["obligations"]["waived"] == ["network_allowed"]
    assert record["obligations"]["exceptions"] == [granted["id"]]
    wait_until(lambda: author.says("exception", "list")["exceptions"][0]["uses"] >= 2, what="its uses are counted")
    token = (here.state / "metrics-token").read_text().strip()
    shown = here.web.call("GET", "/metrics", headers={"Authorization": f"Bearer {token}"}).body.decode()
    assert "ztfm_exceptions_used_total{" in shown
    author("exception", "revoke", granted["id"])
    wait_until(lambda: infer(home).status == 403, what="it has ended")
    assert author.says("exception", "list", "--all")["exceptions"][0]["state"] == "revoked"


def one_that_expired_lets_nobody_through(author: Author, home: Caller) -> None:
    author("exception", "grant", "--subject", home.id, *EXCEPTION, *WHY, "--for", "1s")
    wait_until(lambda: author.says("exception", "list", "--all")["exceptions"][0]["state"] == "expired")
    assert codes(infer(home)) == ["network_allowed"]


@pytest.fixture(scope="module")
def bundle(published: str, author: Author, doors: Path, place: Path) -> Path:
    """What decides, as a file."""
    target = place / "base.tar.gz"
    author("build", "--policies", doors, "--out", target)
    return target


@pytest.fixture(scope="module")
def signer(here: Installation) -> BundleSigner:
    """The key of this machine, which is trusted for every layer: whoever has it signs whatever is liked."""
    found = BundleSigner.load(here.state / "policy-signing.key")
    assert found is not None
    return found


def test_what_is_not_whole_trusted_and_tested_changes_nothing(
    here: Installation, author: Author, core: Caller, bundle: Path, signer: BundleSigner, site: Path, place: Path
) -> None:
    body = bundle.read_bytes()
    failing = spoilt.with_a_failing_test(site, place / "failing")
    author("build", "--layer", "site", "--policies", failing, "--out", place / "failing.tar.gz")
    for_site = (place / "failing.tar.gz").read_bytes()
    offered: list[tuple[str, str, bytes]] = [
        ("malformed", "base", spoilt.flipped(body)),
        ("tampered", "base", spoilt.loosened(body)),
        ("unsigned", "base", spoilt.unsigned(body)),
        ("untrusted", "base", spoilt.by_a_stranger(body)),
        ("does_not_compile", "base", spoilt.uncompilable(signer, body)),
        ("fails_tests", "site", for_site),
        ("conflicting", "site", spoilt.claiming(signer, for_site, "ztfm")),
        ("conflicting", "base", spoilt.claiming(signer, body, "data", "site", "ztfm")),
        ("conflicting", "base", for_site),
    ]
    file = place / "offered.tar.gz"
    with here.unchanged(), Traffic(core).flowing():
        for reason, layer, changed in offered:
            file.write_bytes(changed)
            assert author.says("publish", file, "--layer", layer, code=1)["refused"] == reason
        # Longer than a release takes to decide.
        time.sleep(1.0)
    for name in ("base", "site"):
        assert here.layer(name)["refused"] is None


def test_what_is_changed_in_the_database_is_refused_when_it_is_to_decide(
    here: Installation, author: Author, core: Caller, published: str, bundle: Path
) -> None:
    head = here.heads()["base"]
    with here.database() as database:
        former = database.execute(
            "SELECT digest, revision FROM policy_releases WHERE layer = 'base' AND digest != ?", head[2:]
        ).fetchone()
        [whole] = database.execute("SELECT body FROM policy_bundles WHERE digest = ?", former[:1]).fetchone()
        database.execute("UPDATE policy_bundles SET body = ? WHERE digest = ?", (spoilt.flipped(whole), former[0]))
    with here.unchanged(heads=False), Traffic(core).flowing():
        refused = author("rollback", "--to", former[1], code=1)
        assert "refused (" in refused.stderr
        assert here.heads()["base"] == head
        with here.database() as database:
            columns = "layer, revision, digest, key_id, published_by, size_bytes, origin"
            database.execute(
                f"INSERT INTO policy_releases ({columns}, published_at) SELECT {columns}, ? FROM policy_releases "
                "WHERE digest = ? LIMIT 1",
                (time.time(), former[0]),
            )
        wait_until(lambda: here.layer("base")["refused"] is not None, TAKES_OVER_SECONDS)
        assert here.layer("base")["released_revision"] == former[1]
        assert "the control plane refuses it" in author("status", code=1).stdout
    author("rollback", "--to", published)
    here.decides_by(published)
    assert here.ready()["ready"]


def pull(device: Caller) -> Reply:
    """Ask for a model, to serve it."""
    return device.capability("model_access", digest=DIGEST, purpose="serving")


def test_a_sites_veto_holds_whatever_the_base_says(
    here: Installation, author: Author, home: Caller, published: str, place: Path, doors: Path
) -> None:
    veto = f"site:{SITE_WINDOW}_open"
    assert codes(pull(home)) == [veto]
    asked = ("--resource", "smart-home-intents", "--action", "model_access", "--for", "1h", *WHY)
    author("exception", "grant", "--subject", home.id, "--waive", veto, *asked, code=2)
    author("exception", "grant", "--subject", home.id, "--waive", "window_open", *asked)
    folder = place / "greedy"
    shutil.copytree(doors, folder)
    (folder / "ztfm" / "greedy").mkdir()
    (folder / "ztfm" / "greedy" / "greedy.rego").write_text(GREEDY)
    with here.unchanged():
        assert "package site.batch" in author("publish", "--policies", folder, code=1).stderr
        # Longer than a release or an exception takes to count.
        time.sleep(1.5)
        assert codes(pull(home)) == [veto]


GREEDY = """package site.batch

answers[id] := {"required": set(), "proven": set()} if {
	some questions in input
	some id, _ in questions
}
"""


def test_whoever_is_killed_while_publishing_leaves_the_old_or_the_new(
    here: Installation, author: Author, core: Caller, site: Path, place: Path
) -> None:
    administrator = here.enrol("administrator", "core")
    folder = place / "next-site"
    shutil.copytree(site, folder)
    files = [place / "one.tar.gz", place / "two.tar.gz"]
    made = []
    for file in files:
        data = folder / "site" / "data" / SITE_WINDOW / "data.json"
        rewrite(data, lambda found: found.update(closes_at_second=found["closes_at_second"] + 60))
        made.append(author.says("build", "--layer", "site", "--policies", folder, "--out", file))
    with Traffic(core).flowing():
        old = here.heads()
        killed(author, files[0], place / "first", lambda: is_checking(place / "first"))
        assert here.heads() == old
        killed(author, files[0], place / "second", lambda: here.heads() != old)
        assert here.heads() == {**old, "site": (old["base"][0] + old["site"][0], *named(made[0]))}
        here.decides_by(made[0]["revision"], "site")
    publishing = threading.Thread(target=publish_over_http, args=(administrator, files[1].read_bytes()))
    publishing.start()
    wait_until(lambda: is_checking(here.scratch), what="the checks have begun")
    here.kill()
    publishing.join()
    assert here.heads()["site"][1:] == named(made[0])
    here.start()
    for layer, (_, revision, _) in here.heads().items():
        here.decides_by(revision, layer)
    infer(here.again(core)).expect(201)


def is_checking(scratch: Path) -> bool:
    """Whether a process with this folder for temporary files is in the midst of checking a bundle."""
    return any(scratch.glob("ztfm-checking-*"))


def named(made: Any) -> tuple[str, str]:
    return made["revision"], made["digest"]


def killed(author: Author, file: Path, scratch: Path, claim: Callable[[], bool]) -> None:
    """Publish in a process of its own, and kill it as soon as a claim holds."""
    scratch.mkdir()
    environment = {**os.environ, **author.environment, "TMPDIR": str(scratch)}
    with subprocess.Popen([*ZTFM, "policy", "publish", "--layer", "site", str(file)], env=environment) as process:
        try:
            wait_until(claim, 60.0)
        finally:
            process.kill()


def publish_over_http(administrator: Caller, body: bytes) -> None:
    """Publish as far as one gets."""
    headers = {"Content-Type": "application/gzip"}
    with suppress(OSError, HTTPException):
        administrator.plane.call("POST", "/v1/policies/site", body=body, key=administrator.key, headers=headers)
