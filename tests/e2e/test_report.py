"""A report is written beside the image, comes back after a reload, and is signed."""

import pytest
from playwright.sync_api import expect

from tests.e2e.test_cases import study, visit  # noqa: F401  Fixtures.
from tests.e2e.test_main_job import has_no_sideways_scrolling
from tests.factories import ReportTextFactory

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]


def test_a_report_from_the_first_word_to_its_page(visit, screenshot, study, site, radiologist):  # noqa: F811
    ReportTextFactory(
        site=site,
        code="opacity",
        name="Opacity",
        block="",
        findings="Opacity in the ___ zone of the ___ lung.",
        impression="Pneumonia.",
    )
    page = visit(radiologist).go(f"/studies/{study.pk}/")
    page.locator("#report-fields").wait_for()
    page.locator("#report").get_by_text("Insert a text").click()
    page.locator("#report").get_by_role("button", name="Opacity").click()
    findings = page.get_by_label("Findings")
    page.keyboard.type("lower")
    expect(findings).to_have_value("Opacity in the lower zone of the ___ lung.")
    page.get_by_label("Comparison").fill("None.")

    # A blank that is left open stops the signature where it is.
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("[data-draft-problem]")).to_contain_text("There is a blank")
    expect(findings).to_be_focused()
    page.keyboard.type("left")
    expect(findings).to_have_value("Opacity in the lower zone of the left lung.")
    expect(page.locator("[data-draft-problem]")).to_be_hidden(timeout=20_000)

    page.reload()
    expect(findings).to_have_value("Opacity in the lower zone of the left lung.")
    expect(page.get_by_label("Comparison")).to_have_value("None.")
    screenshot(page, "90-report-draft")
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader", timeout=20_000)
    expect(page.locator("#decision")).to_contain_text("Opacity in the lower zone of the left lung.")
    page.goto(f"{page.url}report/")
    page.get_by_text("Correct the report", exact=True).click()
    page.set_viewport_size({"width": 360, "height": 740})
    assert has_no_sideways_scrolling(page)
    screenshot(page, "91-report-page", full_page=True)
