"""The pages that others wrote, Django's admin and Swagger UI, work under the content security policy."""

from urllib.parse import unquote

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.harness.portal import PortalProcess

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]


@pytest.fixture
def complaints(page: Page, portal: PortalProcess) -> list[str]:
    """What the browser objected to on ``page``, and what the page tried to load from elsewhere."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((portal.url, "data:", "blob:")) else found.append(request.url)
        ),
    )
    return found


def _log_in(page: Page, portal: PortalProcess, name: str) -> None:
    page.goto(f"{portal.url}/accounts/login/")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(portal.accounts[name])
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/accounts/login/" not in url)


def test_the_schema_page_works_offline_and_without_complaint(page: Page, portal: PortalProcess, complaints):
    page.goto(f"{portal.url}/api/docs/")

    expect(page.get_by_role("heading", name="CXR Portal")).to_be_visible()
    page.locator(".opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.get_by_role("heading", name="Available authorizations")).to_be_visible()
    assert complaints == []


def test_the_admin_works_without_complaint(page: Page, portal: PortalProcess, complaints):
    _log_in(page, portal, "admin")
    page.goto(f"{portal.url}/admin/")
    expect(page.locator("#content-main")).to_be_visible()
    page.goto(f"{portal.url}/admin/diagnosis/user/")

    expect(page.locator("#result_list")).to_be_visible()
    assert complaints == []


def test_the_admin_sends_a_stranger_to_the_one_login(page: Page, portal: PortalProcess):
    page.goto(f"{portal.url}/admin/")

    assert unquote(page.url) == f"{portal.url}/accounts/login/?next=/admin/"


def test_a_script_in_a_page_would_be_stopped(page: Page, portal: PortalProcess, complaints):
    page.goto(f"{portal.url}/accounts/login/")
    with page.expect_event("console", lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<a id=bait onclick=\"window.hit = true\">x</a>')"
        )
        page.locator("#bait").click()

    assert page.evaluate("window.hit") is None


def test_the_session_cookie_is_out_of_reach_of_scripts(
    page: Page, context: BrowserContext, portal: PortalProcess
):
    _log_in(page, portal, "doctor")

    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert cookies["cxr_sid"]["httpOnly"]
    assert cookies["cxr_csrf"]["httpOnly"]
    assert page.evaluate("document.cookie") == ""
