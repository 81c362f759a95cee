"""What becomes of each file is on the page, for everybody: also for who uses a keyboard, a screen reader, a phone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from ml.phantom import phantom_dicom
from tests.e2e.conftest import ROOT
from tests.e2e.test_main_job import has_no_sideways_scrolling
from tests.e2e.test_uploads import (
    EXAMINED_MS,
    PIECE,
    SMALL,
    choose,
    cut_at,
    discard_all,
    file,
    large_file,
    picture,
    requests_for_parts,
    row,
    totals,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
#: The rules of WCAG 2.2 A and AA, and what their authors hold for good practice beside them.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def chest(seed: int, **said: str) -> bytes:
    return phantom_dicom(
        seed,
        **SMALL,
        **{"patient_id": "ROWS-1", "patient_name": "Rowan^Rosa", "sop_instance_uid": "1.2.840.99.1", **said},
    )


def barriers(page: Page) -> list[str]:
    """What axe finds that keeps people out: its serious and critical rules, and where."""
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("tags => axe.run(document, {runOnly: tags, preload: false})", RULES)
    assert found["passes"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def too_small_to_touch(page: Page, within: str) -> list[str]:
    return page.evaluate(
        """(within) => [...document.querySelectorAll(within)]
            .flatMap((part) => [...part.querySelectorAll("button, summary, .button, select, input:not([type=hidden])")])
            .filter((element) => element.checkVisibility())
            .filter((element) => !element.matches(".visually-hidden, [type=checkbox], [type=radio]"))
            .filter((element) => element.getBoundingClientRect().height < 44)
            .map((element) => element.textContent.trim() || element.name)""",
        within,
    )


@pytest.fixture(scope="module")
def outcomes() -> dict[str, bytes]:
    """By what becomes of it: one that is stored before, and what it then makes of the others."""
    return {
        "first.dcm": chest(901),
        "again.dcm": chest(901),
        "same-uid.dcm": chest(902),
        "letter.dcm": b"Dear colleague",
        "new.png": picture(12_900),
    }


@pytest.mark.parametrize("phone", [False, True], ids=["desk, light", "phone, dark"])
def test_a_file_that_is_waiting_stored_known_held_or_refused_says_so(log_in, screenshot, outcomes, phone):
    doctor = log_in("doctor", phone=phone, dark=phone)
    choose(doctor, file("first.dcm", outcomes["first.dcm"]))
    expect(row(doctor, "first.dcm")).to_contain_text(
        "Duplicate" if phone else "Waiting for your confirmation", timeout=EXAMINED_MS
    )
    if not phone:
        doctor.get_by_role("link", name="Confirm the patient").click()
        expect(doctor.get_by_role("heading", name="What the file says")).to_be_visible()
        assert barriers(doctor) == []
        doctor.get_by_role("button", name="Store and analyse").click()
        # It is stored: the page of its study opens.
        expect(
            doctor.get_by_role("heading", name="Rosa Rowan").or_(doctor.get_by_text("Rowan"))
        ).not_to_have_count(0)
        assert "/studies/" in doctor.url
        doctor.goto(urljoin(doctor.url, "/"))

    names = ("again.dcm", "same-uid.dcm", "letter.dcm", "new.png")
    choose(doctor, *(file(name, outcomes[name]) for name in names))
    expect(row(doctor, "again.dcm")).to_contain_text("Duplicate", timeout=EXAMINED_MS)
    expect(row(doctor, "again.dcm")).to_contain_text("This file is stored already. Nothing was stored twice.")
    expect(row(doctor, "again.dcm").get_by_role("link", name="Open its study")).to_be_visible()
    expect(row(doctor, "same-uid.dcm")).to_contain_text("Held for an administrator", timeout=EXAMINED_MS)
    expect(row(doctor, "same-uid.dcm")).to_contain_text("The stored one was kept")
    expect(row(doctor, "letter.dcm")).to_contain_text("Refused", timeout=EXAMINED_MS)
    expect(row(doctor, "letter.dcm")).to_contain_text("is not a DICOM, PNG, JPEG or TIFF image")
    expect(row(doctor, "new.png")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    expect(totals(doctor)).to_contain_text("1 refused")
    expect(totals(doctor)).to_contain_text("1 held")
    expect(totals(doctor)).to_contain_text("duplicate" if not phone else "duplicates")
    # Sending them again would change nothing.
    expect(doctor.locator("[data-upload-retry-all]")).to_be_hidden()
    assert barriers(doctor) == []
    assert has_no_sideways_scrolling(doctor)
    if phone:
        assert too_small_to_touch(doctor, ".upload") == []
    screenshot(doctor, f"86-outcomes-{'phone' if phone else 'desk'}", full_page=True)

    doctor.get_by_role("link", name="Confirm the patient").click()
    expect(doctor.get_by_role("heading", name="Confirm the patient")).to_be_visible()
    assert barriers(doctor) == []
    assert has_no_sideways_scrolling(doctor)
    if phone:
        assert too_small_to_touch(doctor, "main") == []
    screenshot(doctor, f"87-confirm-{'phone' if phone else 'desk'}", full_page=True)
    discard_all(doctor)


def test_an_administrator_sees_both_pictures_and_stores_the_second_under_a_uid_of_its_own(
    log_in, screenshot, outcomes
):
    doctor = log_in("doctor")
    choose(doctor, file("same-uid.dcm", outcomes["same-uid.dcm"]))
    expect(row(doctor, "same-uid.dcm")).to_contain_text("Held for an administrator", timeout=EXAMINED_MS)
    admin = log_in("admin")
    admin.goto(urljoin(admin.url, "/admin/diagnosis/heldfile/"))
    admin.get_by_role("link", name="same-uid.dcm").click()
    expect(admin.get_by_role("img", name="The held image")).to_be_visible()
    for name in ("The held image", "The stored image"):
        expect(admin.get_by_role("img", name=name)).not_to_have_js_property("naturalWidth", 0)
    assert barriers(admin) == []
    screenshot(admin, "88-held", full_page=True)
    admin.get_by_role("button", name="It is another picture of the same person").click()
    expect(admin.get_by_text("Your decision was carried out.")).to_be_visible()
    # The same file is known from now on.
    doctor.reload()
    choose(doctor, file("same-uid.dcm", outcomes["same-uid.dcm"]))
    expect(row(doctor, "same-uid.dcm")).to_contain_text("Duplicate", timeout=EXAMINED_MS)


def test_on_a_page_without_tls_too_the_same_file_goes_on_after_a_reload_and_no_other(log_in):
    """There browsers have no Web Crypto."""
    doctor = log_in("doctor")
    doctor.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })")
    doctor.reload()
    assert doctor.evaluate("crypto.subtle === undefined")
    content = large_file(91)
    cut_at(doctor, PIECE, times=100)
    choose(doctor, file("large.dcm", content))
    expect(row(doctor, "large.dcm")).to_contain_text("Sending", timeout=EXAMINED_MS)
    with doctor.expect_response(lambda response: response.request.method == "HEAD"):
        pass
    doctor.reload()
    doctor.unroute("**/uploads/parts/**")
    expect(doctor.get_by_role("list", name="Interrupted uploads")).to_contain_text("large.dcm")
    sent = requests_for_parts(doctor)
    # Of the same name and size, and another patient's.
    other = bytearray(content)
    other[-1000:] = bytes(1000)
    choose(doctor, file("large.dcm", bytes(other)))
    expect(row(doctor, "large.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    assert sent == [("POST", ""), ("PATCH", str(PIECE)), ("PATCH", str(2 * PIECE))]
    sent.clear()
    choose(doctor, file("renamed.dcm", content))
    expect(row(doctor, "renamed.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    assert sent == [("HEAD", ""), ("PATCH", str(PIECE)), ("PATCH", str(2 * PIECE))]
    discard_all(doctor)
