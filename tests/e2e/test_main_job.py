"""A doctor uploads and gets a second opinion, a radiologist decides, an administrator finds all of it in the audit."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from playwright.sync_api import Page, expect

from ml.phantom import phantom_png

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]

ANALYSIS_MS = 60_000


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the drop zone, as a mouse would."""
    page.evaluate(
        """([bytes, name]) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], name));
            const zone = document.querySelector("[data-drop-zone]");
            for (const type of ["dragenter", "dragover", "drop"]) {
                zone.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
            }
        }""",
        [list(content), name],
    )


def enter_new_patient(page: Page, mrn: str, family_name: str) -> None:
    page.get_by_text("New patient", exact=True).click()
    page.get_by_label("Record number", exact=True).fill(mrn)
    page.get_by_label("Family name").fill(family_name)
    page.get_by_label("Given name").fill("Ana")


def local_minutes_ago(minutes: int) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")


def has_no_sideways_scrolling(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def sign_what_the_network_says(page: Page) -> None:
    """Confirm the one label, or decide for the first of several: which of the two the drawn chest gets is the network's."""
    confirm, decide = (
        page.get_by_role("button", name="Confirm:"),
        page.get_by_role("button", name="Sign the decision"),
    )
    expect(confirm.or_(decide)).to_be_visible()
    if decide.is_visible():
        page.locator(".choice-form .option").first.click()
        decide.click()
    else:
        confirm.click()


def test_the_whole_job_from_the_dropped_file_to_the_audit(log_in, screenshot, chest_dicom):
    doctor = log_in("doctor")
    expect(doctor.get_by_role("heading", name="Drop chest X-rays here")).to_be_visible()
    expect(doctor.get_by_role("heading", name="Worklist")).to_be_visible()
    screenshot(doctor, "01-doctor-worklist")

    drop(doctor, "RG1_J2KI.dcm", chest_dicom)
    expect(doctor.get_by_text("Images wait for you to say whose they are.")).to_be_visible(timeout=20_000)
    screenshot(doctor, "02-doctor-dropped")
    doctor.get_by_role("link", name="Confirm the patient").click()
    expect(doctor.get_by_role("heading", name="What the file says")).to_be_visible()
    enter_new_patient(doctor, "E2E-1", "Hospitalaria")
    same_person = doctor.get_by_label("same", exact=False)
    screenshot(doctor, "03-doctor-confirms")
    doctor.get_by_role("button", name="Store and analyse").click()
    if (
        same_person.count()
    ):  # The file names a patient of its own: what was entered differs, and a person must say so.
        same_person.first.check()
        screenshot(doctor, "04-doctor-says-it-is-the-same-person")
        doctor.get_by_role("button", name="Store and analyse").click()

    # The page changes by itself: nobody reloads it.
    expect(doctor.locator("table.scores")).to_be_visible(timeout=ANALYSIS_MS)
    expect(doctor.get_by_text("Second opinion, not a diagnosis.")).to_be_visible()
    scores = [float(text) for text in doctor.locator("td.score").all_inner_texts()]
    assert abs(sum(scores) - 1) < 0.02
    expect(doctor.locator("[data-heat-map]").first).to_be_hidden()
    screenshot(doctor, "05-doctor-second-opinion")
    doctor.get_by_text("Show where the network looked").click()
    expect(doctor.locator("[data-heat-map]").first).to_be_visible()
    expect(doctor.locator("[data-heat-map]").first).not_to_have_js_property("naturalWidth", 0)
    screenshot(doctor, "06-doctor-heat-map")

    doctor.get_by_text("Add a PCR result", exact=True).click()
    doctor.get_by_label("Detected", exact=True).check()
    doctor.get_by_label("Sample collected").fill(local_minutes_ago(-60 * 24))
    doctor.get_by_role("button", name="Add the PCR result").click()
    expect(doctor.get_by_text("lies in the future")).to_be_visible()
    doctor.get_by_label("Sample collected").fill(local_minutes_ago(60 * 24))
    doctor.get_by_label("Ct value").fill("24.5")
    doctor.get_by_role("button", name="Add the PCR result").click()
    expect(doctor.get_by_text("The PCR result is on the timeline.")).to_be_visible()
    doctor.get_by_text("Add a symptom note", exact=True).click()
    doctor.get_by_label("Cough").select_option("moderate")
    doctor.get_by_label("Notes").fill("Dry cough.\n<script>alert(1)</script>")
    doctor.get_by_role("button", name="Add the symptom note").click()
    expect(doctor.get_by_text("<script>alert(1)</script>")).to_be_visible()
    screenshot(doctor, "07-doctor-pcr-and-symptoms")

    radiologist = log_in("radiologist")
    radiologist.get_by_role("searchbox").fill("E2E-1")
    radiologist.get_by_role("link", name="Hospitalaria").click()
    screenshot(radiologist, "08-radiologist-study")
    radiologist.locator("#own-reading > summary").click()
    radiologist.locator("#own-reading .option").first.click()
    radiologist.locator("#own-reading").get_by_label("reason", exact=False).select_option("positioning")
    radiologist.locator("#own-reading").get_by_role("textbox", name="Note").fill("Rotated; no consolidation.")
    screenshot(radiologist, "09-radiologist-overrides")
    radiologist.get_by_role("button", name="Sign the override").click()
    expect(radiologist.locator("#decision")).to_contain_text("Signed by Rafael Reader")
    screenshot(radiologist, "10-radiologist-signed")

    # The doctor sees it at once, on the page that is still open.
    expect(doctor.locator("#decision")).to_contain_text("Signed by Rafael Reader", timeout=15_000)
    expect(doctor.locator("#decision")).to_contain_text("Rotated; no consolidation.")
    screenshot(doctor, "11-doctor-sees-the-decision")

    admin = log_in("admin")
    admin.goto(f"{admin.url.split('/accounts')[0].rstrip('/')}/admin/diagnosis/auditevent/?q=E2E-1")
    audit = admin.locator("#result_list")
    for action in (
        "Created a study",
        "Stored an image",
        "Analysis finished",
        "Added a PCR result",
        "Added a symptom note",
        "Signed a read",
        "Opened a study",
    ):
        expect(audit.get_by_text(action).first).to_be_visible()
    screenshot(admin, "12-admin-audit")


def test_several_files_at_once_and_a_bad_one_never_stops_the_others(log_in, screenshot):
    doctor = log_in("doctor")
    doctor.set_input_files(
        "#upload-files",
        [
            {"name": "good.png", "mimeType": "image/png", "buffer": phantom_png(901, rows=320, columns=300)},
            {"name": "report.dcm", "mimeType": "application/dicom", "buffer": b"This is a letter."},
            {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
            {
                "name": "also-good.png",
                "mimeType": "image/png",
                "buffer": phantom_png(902, rows=320, columns=300),
            },
        ],
    )
    rows = doctor.locator(".upload-row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("Refused")
    expect(rows.nth(2)).to_contain_text("Refused")
    expect(rows.nth(0)).to_contain_text("confirm", ignore_case=True)
    expect(rows.nth(3)).to_contain_text("confirm", ignore_case=True)
    screenshot(doctor, "20-several-files")
    doctor.get_by_role("link", name="Confirm the patient").click()
    enter_new_patient(doctor, "E2E-2", "Doble")
    doctor.get_by_role("button", name="Store and analyse").click()
    expect(doctor.locator("table.scores")).to_have_count(2, timeout=ANALYSIS_MS)

    doctor.goto(doctor.url.split("/studies")[0])
    doctor.set_input_files(
        "#upload-files",
        [{"name": "again.png", "mimeType": "image/png", "buffer": phantom_png(901, rows=320, columns=300)}],
    )
    expect(doctor.locator(".upload-row")).to_contain_text("stored already")
    screenshot(doctor, "21-duplicate")


def test_the_whole_job_on_a_phone(log_in, screenshot):
    doctor = log_in("doctor", phone=True)
    screenshot(doctor, "30-phone-worklist")
    assert has_no_sideways_scrolling(doctor)
    doctor.set_input_files(
        "#upload-files",
        [
            {
                "name": "IMG_0001.png",
                "mimeType": "image/png",
                "buffer": phantom_png(903, rows=640, columns=600),
            }
        ],
    )
    doctor.get_by_role("link", name="Confirm the patient").tap()
    enter_new_patient(doctor, "E2E-3", "Móvil")
    screenshot(doctor, "31-phone-confirm")
    assert has_no_sideways_scrolling(doctor)
    doctor.get_by_role("button", name="Store and analyse").tap()
    expect(doctor.locator("table.scores")).to_be_visible(timeout=ANALYSIS_MS)
    screenshot(doctor, "32-phone-study", full_page=True)
    assert has_no_sideways_scrolling(doctor)

    radiologist = log_in("radiologist", phone=True)
    radiologist.goto(doctor.url)
    screenshot(radiologist, "33-phone-radiologist")
    sign_what_the_network_says(radiologist)
    expect(radiologist.locator("#decision")).to_contain_text("Signed by Rafael Reader")
    screenshot(radiologist, "34-phone-signed")
    assert has_no_sideways_scrolling(radiologist)


def test_the_demo_shows_an_image_beside_its_pcr_result_and_symptoms(log_in, screenshot):
    radiologist = log_in("radiologist", dark=True)
    radiologist.get_by_role("link", name="Muster, Martina").click()
    expect(radiologist.locator("table.scores")).to_be_visible(timeout=ANALYSIS_MS)
    expect(radiologist.get_by_text("Detected").first).to_be_visible()
    expect(radiologist.get_by_text("Shortness of breath").first).to_be_visible()
    offer = radiologist.get_by_role("button", name="Confirm:")
    expect(offer.or_(radiologist.get_by_role("button", name="Sign the decision"))).to_be_visible()
    radiologist.wait_for_load_state("networkidle")
    screenshot(radiologist, "50-demo-study")


def test_what_reaches_the_api_page_is_drawn_without_the_internet(log_in, screenshot):
    admin = log_in("admin")
    requests: list[str] = []
    admin.on("request", lambda request: requests.append(request.url))
    origin = admin.url.split("/accounts")[0].rstrip("/")
    admin.goto(f"{origin}/api/docs/")
    expect(admin.locator(".swagger-ui .opblock").first).to_be_visible()
    screenshot(admin, "40-api-docs")
    assert [url for url in requests if not url.startswith((origin, "data:"))] == []
    schema = json.loads(admin.request.get(f"{origin}/api/schema/?format=json").text())
    assert "/api/v1/uploads/" in schema["paths"]
