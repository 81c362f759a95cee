"""A doctor and a radiologist who speak Spanish do the whole job in it, by real processes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from ml.phantom import phantom_png
from tests.e2e.conftest import PHONE
from tests.e2e.test_main_job import ANALYSIS_MS, drop, has_no_sideways_scrolling, local_minutes_ago

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]

IN_ENGLISH = "from diagnosis.models import User; User.objects.update(language='', time_zone='')"
# What a page says in English wherever it was not translated; names of people, files and labels of the network are none of it.
ENGLISH = re.compile(
    r"\b(?:the|is|are|of|your|read|study|second opinion|not|signed|by|with|here)\b", re.IGNORECASE
)


@pytest.fixture
def spanish(portal, log_in):
    """Opens a browser for a person, who chooses Spanish in the menu; afterwards everybody speaks English again."""

    def person(username: str, **device: bool) -> Page:
        page = log_in(username, **device)
        page.locator("header [data-menu] summary").click()
        page.get_by_role("button", name="Español").click()
        page.get_by_role("heading", name="Lista de trabajo").wait_for()
        return page

    yield person
    portal.manage("shell", "--no-imports", "--command", IN_ENGLISH)


def english_in(page: Page, where: str) -> list[str]:
    lines = page.locator(where).inner_text().splitlines()
    return [line for line in lines if ENGLISH.search(line)]


def test_the_whole_job_in_spanish(spanish, screenshot):
    doctor = spanish("doctor")
    expect(doctor.locator("html")).to_have_attribute("lang", "es")
    assert english_in(doctor, "header") == []
    drop(doctor, "torax.png", phantom_png(4711))
    expect(doctor.get_by_text("Hay imágenes a la espera")).to_be_visible(timeout=20_000)
    doctor.get_by_role("link", name="Confirmar el paciente").click()
    doctor.get_by_text("Paciente nuevo", exact=True).click()
    doctor.get_by_label("Número de historia", exact=True).fill("ES-1")
    doctor.get_by_label("Apellidos").fill("Española")
    doctor.get_by_label("Nombre de pila").fill("Ana")
    screenshot(doctor, "es-1-confirm")
    assert english_in(doctor, "main") == []
    doctor.get_by_role("button", name="Guardar y analizar").click()
    expect(doctor.locator("table.scores")).to_be_visible(timeout=ANALYSIS_MS)
    expect(doctor.get_by_text("Segunda opinión, no un diagnóstico.")).to_be_visible()
    # Numbers have the form of the language.
    assert re.fullmatch(r"\d,\d\d", doctor.locator("td.score").first.inner_text())
    doctor.get_by_text("Añadir un resultado de PCR", exact=True).click()
    doctor.get_by_label("Detectado", exact=True).check()
    doctor.get_by_label("Muestra tomada").fill(local_minutes_ago(60 * 24))
    doctor.get_by_role("button", name="Añadir el resultado de PCR").click()
    expect(doctor.get_by_text("El resultado de PCR está en la cronología.")).to_be_visible()
    screenshot(doctor, "es-2-study", full_page=True)

    radiologist = spanish("radiologist")
    radiologist.get_by_role("searchbox").fill("ES-1")
    radiologist.get_by_role("link", name="Española").click()
    expect(radiologist.get_by_role("heading", name="Decisión del radiólogo")).to_be_visible()
    expect(radiologist.locator("#claim-bar")).to_contain_text("Usted lee este estudio hasta las")
    expect(radiologist.get_by_role("toolbar")).to_be_visible()
    radiologist.keyboard.press("?")
    expect(radiologist.get_by_text("Ajustar a la ventana").last).to_be_visible()
    screenshot(radiologist, "es-3-keys")
    radiologist.keyboard.press("Escape")
    assert english_in(radiologist, "#decision") == []
    radiologist.locator("#own-reading > summary").click()
    radiologist.locator("#own-reading .option").first.click()
    reason = radiologist.locator("#own-reading").get_by_label("Motivo")
    if reason.count():
        reason.select_option("positioning")
    radiologist.locator("#own-reading").get_by_role("button", name=re.compile("^Firmar")).click()
    expect(radiologist.locator("#decision")).to_contain_text("Firmado por Rafael Reader")
    screenshot(radiologist, "es-4-signed", full_page=True)
    expect(doctor.locator("#decision")).to_contain_text("Firmado por Rafael Reader", timeout=15_000)


def test_spanish_fits_the_phone(spanish, screenshot):
    doctor = spanish("doctor", phone=True)
    for path in ("/", "/models/", "/second-reads/", "/critical/", "/preferences/", "/uploads/confirm/"):
        doctor.goto(f"{doctor.url.split('/', 3)[0]}//{doctor.url.split('/', 3)[2]}{path}")
        assert doctor.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
    doctor.locator("header [data-menu] summary").click()
    screenshot(doctor, "es-5-phone-menu")
    assert has_no_sideways_scrolling(doctor)
