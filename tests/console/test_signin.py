"""Both ways to sign in, in a real browser before a real control plane and a real provider."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from controlplane.sidecar.folders import product_folder
from tests.console.accessible import faults
from tests.controlplane.identity.issuer import AUDIENCE, Client, Issuer, ec_key, serving_issuer
from tests.support import ControlPlane, running

BACK = "/v1/console/oidc/callback"
KEYS = """() => new Promise((found, failed) => {
  const asked = indexedDB.open("ztfm", 1);
  asked.onerror = () => failed(asked.error);
  asked.onsuccess = () => {
    const read = asked.result.transaction("keys").objectStore("keys").getAll();
    read.onsuccess = () => found(read.result);
  };
})"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")], client=Client("console"))) as found:
        yield found


@pytest.fixture(scope="module")
def plane(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane on which nobody is an administrator yet, and whose policies know the provider."""
    policies = tmp_path_factory.mktemp("signin") / "policies"
    shutil.copytree(product_folder("policies"), policies)
    people = policies / "data/people/data.json"
    [known] = json.loads(people.read_text()).values()
    people.write_text(json.dumps({issuer.url: known}))
    asked = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_client_id": "console"}
    with running(policies=policies, **asked) as found:
        assert issuer.client is not None
        issuer.client.redirects.add(found.url + BACK)
        yield found


@pytest.fixture
def context(chromium: Browser, plane: ControlPlane, issuer: Issuer) -> Iterator[BrowserContext]:
    """A browser's window of its own, which reaches the control plane and the provider alone."""
    with opened(chromium, plane, issuer) as found:
        yield found


@contextmanager
def opened(chromium: Browser, plane: ControlPlane, issuer: Issuer) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=plane.url, viewport={"width": 1280, "height": 800})
    context.route(lambda url: not url.startswith((plane.url, issuer.url)), lambda route: route.abort())
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may not break its own content security policy, nor fail in any other way."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield page
    assert [fault for fault in wrong if "Failed to load resource" not in fault] == []


def signed_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def enrol(page: Page, token: str, roles: str) -> None:
    page.get_by_label("Roles").fill(roles)
    page.get_by_label(re.compile("secret|token")).fill(token)
    page.get_by_role("button", name="Enrol this browser and sign in").click()


def test_the_first_administrator_signs_in_with_the_bootstrap_secret(
    page: Page, plane: ControlPlane, context: BrowserContext
) -> None:
    page.goto("/console/")
    expect(page.get_by_role("heading", name="Sign in to the ZTFM console")).to_be_visible()
    assert faults(page) == []
    secret = (plane.state / "bootstrap-secret").read_text().strip()
    expect(page.get_by_label("Roles")).to_have_value("administrator")
    page.get_by_label("Bootstrap secret").fill(secret)
    page.get_by_role("button", name="Enrol this browser and sign in").click()
    signed_in(page)
    [kept] = context.cookies()
    assert kept["name"] == "ztfm"
    assert kept["httpOnly"]
    assert kept["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
    # Of what this browser keeps, nothing can be taken out of it.
    [key] = page.evaluate(f"async () => (await ({KEYS})()).map((one) => one.pair.privateKey.extractable)")
    assert key is False
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in", exact=True).click()
    signed_in(page)
    assert not (plane.state / "bootstrap-secret").exists()
    page.reload()
    signed_in(page)


def test_a_browser_is_enrolled_with_a_token_and_forgotten(page: Page, plane: ControlPlane) -> None:
    if (plane.state / "bootstrap-secret").exists():
        plane.enrol("administrator")
    page.goto("/console/fleet")
    enrol(page, plane.token(["operator"], "core"), "operator")
    signed_in(page)
    expect(page).to_have_url(f"{plane.url}/console/fleet")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("This browser is enrolled as")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Forget this browser").click()
    expect(page.get_by_label("Enrolment token")).to_be_visible()
    assert page.evaluate(KEYS) == []


def test_a_token_that_does_not_hold_is_refused_with_what_to_do(page: Page, plane: ControlPlane) -> None:
    page.goto("/console/")
    enrol(page, "ztfm-enrol-" + "x" * 43, "operator")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Policy denies this request")
    expect(page.get_by_text("token_valid")).to_be_visible()
    assert faults(page) == []
    # What is not enrolled is not kept.
    page.reload()
    expect(page.get_by_label(re.compile("secret|token"))).to_be_visible()


def test_a_role_that_may_not_use_the_console_is_told_so(page: Page, plane: ControlPlane) -> None:
    page.goto("/console/")
    page.get_by_label("Segment").fill("homes")
    enrol(page, plane.token(["trainer"], "homes"), "trainer")
    expect(page.get_by_role("alert")).to_contain_text("Policy denies this request")
    expect(page.get_by_text("role_granted")).to_be_visible()


def test_a_device_that_is_revoked_is_signed_out_and_told_what_to_do(page: Page, plane: ControlPlane) -> None:
    page.goto("/console/")
    enrol(page, plane.token(["operator"], "core"), "operator")
    signed_in(page)
    device = page.locator(".who").get_attribute("title")
    assert plane.run(plane.services.registry.set_status(str(device), "revoked"))
    page.reload()
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("Policy denies|not let in"))
    expect(page.get_by_role("button", name="Forget this browser")).to_be_enabled()


def test_a_person_signs_in_with_their_provider_and_comes_back_to_where_they_were(
    page: Page, plane: ControlPlane, issuer: Issuer
) -> None:
    page.goto("/console/decisions?outcome=deny")
    page.get_by_role("link", name=re.compile("Sign in with 127.0.0.1")).click()
    assert page.url.startswith(issuer.url)
    page.get_by_role("button", name="Continue").click()
    signed_in(page)
    expect(page).to_have_url(f"{plane.url}/console/decisions?outcome=deny")
    expect(page.locator(".who")).to_have_text("248289761001")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name=re.compile("Sign in with"))).to_be_visible()


def test_a_person_who_is_not_let_in_is_told_why_and_can_begin_anew(
    page: Page, plane: ControlPlane, issuer: Issuer
) -> None:
    assert issuer.client is not None
    issuer.client.groups = ["visitors"]
    try:
        page.goto("/console/")
        page.get_by_role("link", name=re.compile("Sign in with")).click()
        page.get_by_role("button", name="Continue").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Policy does not let you in")
        expect(alert).to_contain_text(re.compile("ztfm policy explain dec-[0-9a-f]+"))
        assert faults(page) == []
    finally:
        issuer.client.groups = ["federation-operators"]
    page.get_by_role("link", name=re.compile("Sign in with")).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("did not vouch for you")
    page.get_by_role("link", name=re.compile("Sign in with")).click()
    page.get_by_role("button", name="Continue").click()
    signed_in(page)
    expect(page).to_have_url(re.compile(r"/console/(?!.*refused)"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180)])
def test_sign_in_has_no_fault_in_either_theme_on_either_screen(page: Page, theme: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/console/?refused=stale")
    expect(page.get_by_role("alert")).to_contain_text("That sign-in is over")
    if page.evaluate("document.documentElement.dataset.theme") != theme:
        page.get_by_role("button", name=f"Switch to {theme} colours").click()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_all_of_it_is_done_by_keyboard_alone(page: Page, plane: ControlPlane) -> None:
    page.goto("/console/")
    token = page.get_by_label(re.compile("secret|token"))
    expect(token).to_be_visible()
    for _ in range(8):
        page.keyboard.press("Tab")
        if token.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.type(plane.token(["operator"], "core"))
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("operator")
    page.keyboard.press("Enter")
    signed_in(page)


def test_at_another_address_the_page_says_which_one_counts(
    page: Page, plane: ControlPlane, context: BrowserContext
) -> None:
    elsewhere = plane.url.replace("127.0.0.1", "localhost")
    context.unroute_all()
    page.goto(f"{elsewhere}/console/")
    expect(page.get_by_role("alert")).to_contain_text("reached at another address")
    expect(page.get_by_role("link", name=plane.url)).to_be_visible()


def test_who_cannot_reach_the_control_plane_is_not_signed_out_by_halves(
    page: Page, plane: ControlPlane, context: BrowserContext
) -> None:
    page.goto("/console/")
    enrol(page, plane.token(["operator"], "core"), "operator")
    signed_in(page)
    expect(page.get_by_role("main").get_by_role("region").first).to_be_visible()
    context.set_offline(True)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert").filter(has_text="cannot be reached").first).to_be_visible()
    context.set_offline(False)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to the ZTFM console")).to_be_visible()
    assert context.cookies() == []


def test_who_lost_the_session_elsewhere_signs_out_without_a_fault(
    page: Page, plane: ControlPlane, context: BrowserContext
) -> None:
    page.goto("/console/nowhere")
    enrol(page, plane.token(["operator"], "core"), "operator")
    signed_in(page)
    context.clear_cookies()
    ended = page.get_by_role("heading", name="Sign in to the ZTFM console")
    # The page may have asked for something meanwhile, and have heard of it so.
    page.get_by_role("button", name="Sign out").or_(ended).first.click()
    expect(ended).to_be_visible()


def test_where_proofs_need_a_nonce_of_the_control_plane_they_get_one(chromium: Browser, issuer: Issuer) -> None:
    with running(dpop_nonce="always") as strict, opened(chromium, strict, issuer) as context:
        page = context.new_page()
        page.goto("/console/")
        enrol(page, (strict.state / "bootstrap-secret").read_text().strip(), "administrator")
        signed_in(page)
        assert strict.metric("ztfm_capabilities_refused_total", cause="proof_nonce_missing") > 0
