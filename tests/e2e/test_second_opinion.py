"""What a reader finds behind the second opinion: the card of its model, and what to do where there is none."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ml.phantom import phantom_png
from tests.e2e.test_main_job import ANALYSIS_MS, drop, enter_new_patient, has_no_sideways_scrolling

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]


def upside_down(seed: int) -> bytes:
    """A drawn chest, turned by 180 degrees."""
    turned = Image.open(io.BytesIO(phantom_png(seed, rows=640, columns=600))).rotate(180)
    file = io.BytesIO()
    turned.save(file, "PNG")
    return file.getvalue()


def pictures_are_loaded(page: Page) -> bool:
    return page.evaluate(
        """async () => {
            const pictures = [...document.querySelectorAll(".plot img")];
            for (const picture of pictures) { picture.loading = "eager"; await picture.decode(); }
            return pictures.length > 0 && pictures.every((picture) => picture.naturalWidth > 0 && picture.alt);
        }"""
    )


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_from_an_opinion_to_the_card_of_its_model(log_in, screenshot, phone):
    radiologist = log_in("radiologist", phone=phone)
    radiologist.get_by_role("link", name="Muster, Martina").click()
    expect(radiologist.locator("table.scores")).to_be_visible(timeout=ANALYSIS_MS)
    radiologist.locator("#opinion .model-link").click()
    for heading in ("Summary", "Mechanism", "Validation and performance", "Calibration", "Bias", "Warnings"):
        expect(radiologist.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(radiologist.locator("#performance table").first).to_contain_text("COVID-19")
    assert pictures_are_loaded(radiologist)
    assert has_no_sideways_scrolling(radiologist)
    screenshot(radiologist, f"{'61-phone' if phone else '60'}-model-card", full_page=True)
    radiologist.get_by_role("link", name="Models").first.click()
    expect(radiologist.get_by_text("Active", exact=True)).to_be_visible()


def test_a_refused_image_is_read_without_ai(log_in, screenshot):
    doctor = log_in("doctor")
    drop(doctor, "turned.png", upside_down(71))
    doctor.get_by_role("link", name="Confirm the patient").click(timeout=20_000)
    enter_new_patient(doctor, "E2E-70", "Vuelta")
    doctor.get_by_role("button", name="Store and analyse").click()
    opinion = doctor.locator("#opinion")
    expect(opinion).to_contain_text("There is no second opinion on this image", timeout=ANALYSIS_MS)
    expect(opinion).to_contain_text("Refused")
    expect(opinion.get_by_role("button", name="Run again")).to_have_count(0)
    expect(doctor.locator("img.film")).not_to_have_js_property("naturalWidth", 0)
    screenshot(doctor, "70-refused")

    radiologist = log_in("radiologist", phone=True)
    radiologist.get_by_role("link", name="Vuelta").tap()
    screenshot(radiologist, "71-phone-refused", full_page=True)
    assert has_no_sideways_scrolling(radiologist)
    radiologist.locator("#own-reading").get_by_text("Image not diagnostic").tap()
    radiologist.get_by_role("button", name="Sign the read").tap()
    expect(radiologist.locator("#decision")).to_contain_text("Read without a second opinion")
    expect(radiologist.locator("#decision")).to_contain_text("Signed by Rafael Reader")
