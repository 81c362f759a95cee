"""A reading room at its worklist: views, filters, keys, claims, a phone.

Real browsers before the portal's pages in this process; two people at one study before the real processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from diagnosis.models import AuditEvent, Claim, SavedFilter, Study
from diagnosis.services.claims import claim_take
from tests.e2e.conftest import PHONE
from tests.e2e.test_cases import visit  # noqa: F401  A fixture.
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]

PRIORITIES = ("stat", "urgent", "routine", "routine", "routine", "routine")
NAMES = ("Alba^Ana", "Berg^Bo", "Costa^Carla", "Dubois^Diane", "Evans^Ed", "Fuchs^Franz")


@pytest.fixture
def studies(emptied_afterwards, site, doctor) -> list[Study]:
    """Six to read, in the order of their names; the first is the most urgent one."""
    made = []
    for name, priority in zip(NAMES, PRIORITIES, strict=True):
        patient = PatientFactory(site=site, person_name=name)
        study = StudyFactory(patient=patient, submitted_by=doctor, status="to_read", priority=priority)
        PredictionFactory(image=ImageFactory(study=study), done=True)
        made.append(study)
    LabResultFactory(patient=made[1].patient, result="detected")
    return made


def rows(page: Page) -> list[str]:
    return [text.partition(",")[0] for text in page.locator(".row-link").all_inner_texts()]


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.innerText").partition(",")[0]


def top_of(page: Page, name: str) -> float:
    return page.get_by_role("link", name=name).bounding_box()["y"]


def fits_the_phone(page: Page) -> bool:
    """A page that is too wide widens the window of a phone, so that is not what it is compared with."""
    return page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def refresh(page: Page) -> None:
    """What the page does by itself every some seconds."""
    with page.expect_response(re.compile("/worklist/refresh/")):
        page.evaluate("document.body.dispatchEvent(new Event('worklist-changed'))")


def test_filter_keep_the_view_delete_it_and_bring_it_back(visit, radiologist, studies, screenshot):  # noqa: F811
    page = visit(radiologist).page
    expect(page.locator("[data-row]")).to_have_count(6)
    assert rows(page)[:3] == ["Alba", "Berg", "Costa"]
    screenshot(page, "80-worklist")
    page.get_by_label("Latest PCR").select_option("none")
    expect(page.locator("[data-row]")).to_have_count(5)
    page.get_by_label("Priority").select_option("routine")
    expect(page.locator("[data-row]")).to_have_count(4)
    page.get_by_text("Keep this view").click()
    screenshot(page, "81-worklist-keep")
    page.get_by_label("Name of the view").fill("Calm nights")
    page.get_by_role("button", name="Keep", exact=True).click()
    kept = page.get_by_role("link", name="Calm nights 4")
    expect(kept).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Stat 1").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    kept.click()
    page.get_by_text("Keep this view").click()
    page.get_by_role("button", name="Delete “Calm nights”").click()
    expect(page.get_by_text("The view “Calm nights” is deleted.")).to_be_visible()
    expect(kept).to_have_count(0)
    screenshot(page, "82-worklist-undo")
    page.get_by_role("button", name="Undo").click()
    expect(kept).to_be_visible()
    assert SavedFilter.objects.get().query == {
        "status": "open",
        "priority": "routine",
        "pcr": "none",
        "sort": "priority",
    }


def test_the_whole_list_by_keyboard_and_no_key_acts_while_typing(visit, radiologist, studies, screenshot):  # noqa: F811
    page = visit(radiologist).page
    page.keyboard.press("j")
    assert focused(page) == "Alba"
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "Costa"
    page.keyboard.press("k")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert focused(page) == "Alba"
    with page.expect_response(re.compile("/worklist/refresh/")):
        page.keyboard.press("c")
    expect(page.locator("[data-row]").first).to_contain_text("You until")
    assert focused(page) == "Alba"
    screenshot(page, "83-worklist-claimed")
    with page.expect_response(re.compile("/worklist/refresh/")):
        page.keyboard.press("c")
    expect(page.locator("[data-row]").first).not_to_contain_text("You until")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys on the worklist")).to_be_visible()
    screenshot(page, "84-worklist-keys")
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys on the worklist")).to_be_hidden()
    page.keyboard.press("/")
    with page.expect_response(re.compile("/worklist/search/")):
        page.keyboard.type("jck?n/")
    expect(page.get_by_role("searchbox")).to_have_value("jck?n/")
    expect(page.get_by_text("No study matches.")).to_be_visible()
    assert not Claim.objects.exists()
    page.get_by_role("searchbox").fill("duboi")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_role("searchbox").blur()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{studies[3].pk}/")


def test_the_menu_of_a_row_changes_the_priority_with_a_way_back(visit, radiologist, studies, screenshot):  # noqa: F811
    page = visit(radiologist).page
    row = page.locator(f"#study-{studies[5].pk}")
    row.locator("summary").click()
    expect(row.get_by_role("button", name="Assign to me")).to_be_visible()
    screenshot(page, "85-worklist-menu")
    row.get_by_role("button", name="Stat", exact=True).click()
    expect(page.get_by_text("The study is stat now.")).to_be_visible()
    expect(row.locator(".cell-status")).to_contain_text("Stat")
    expect(page.get_by_role("link", name="Stat 2")).to_be_visible()
    assert rows(page)[-1] == "Fuchs"  # Nothing moves under the reader's eyes.
    page.get_by_role("button", name="Undo").click()
    expect(row.locator(".cell-status")).not_to_contain_text("Stat")
    changes = AuditEvent.objects.filter(action="priority_changed").order_by("seq")
    assert [event.details["to"] for event in changes] == ["stat", "routine"]


def test_new_studies_are_told_of_and_the_page_does_not_jump(visit, radiologist, studies, site, screenshot):  # noqa: F811
    page = visit(radiologist).page
    before = top_of(page, "Costa")
    for _ in range(3):
        StudyFactory(
            patient=PatientFactory(site=site, person_name="Nuevo^N"), status="to_read", priority="stat"
        )
    refresh(page)
    expect(page.get_by_role("link", name="3 new studies: show")).to_be_visible()
    expect(page.get_by_role("link", name="Stat 4")).to_be_visible()
    assert top_of(page, "Costa") == before
    screenshot(page, "86-worklist-new")
    page.keyboard.press("n")
    expect(page.locator("[data-row]")).to_have_count(9)


SECOND_RADIOLOGIST = """
from pathlib import Path
from django.conf import settings
from diagnosis.models import Site, User
from diagnosis.services.accounts import membership_set, system_user
path = Path(settings.CXR_VAR_DIR) / "demo-accounts.txt"
user, is_new = User.objects.get_or_create(username="sara", defaults={"first_name": "Sara", "last_name": "Second"})
if is_new:
    user.set_password("a long and random passphrase")
    user.save()
    membership_set(actor=system_user(), user=user, site=Site.objects.get(name="Demo Hospital"), role="radiologist")
    with path.open("a") as file:
        file.write("radiologist\\tsara\\ta long and random passphrase\\n")
"""
PROTOCOL = "from diagnosis.models import Site; Site.objects.update(reading_protocol='{}')"
CLAIMS = """
from diagnosis.models import Claim
print(*Claim.objects.values_list("study_id", "holder__username"))
"""


@pytest.fixture
def two(portal, log_in) -> Iterator[tuple[Page, Page]]:
    """Two radiologists of the demo hospital, where readers read first for the time of a test."""
    portal.manage("shell", "--no-imports", "--command", SECOND_RADIOLOGIST)
    portal.manage("shell", "--no-imports", "--command", PROTOCOL.format("read-first"))
    yield log_in("radiologist"), log_in("sara")
    portal.manage("shell", "--no-imports", "--command", PROTOCOL.format("concurrent"))


@pytest.mark.xdist_group("embedded")
def test_of_two_who_open_a_study_one_reads_and_the_other_is_told(two, portal, screenshot):
    href = two[0].get_by_role("link", name="Muster, Martina").get_attribute("href")
    for page in two:  # Both are on their way before either has arrived.
        page.evaluate("address => { setTimeout(() => { location.href = address; }, 0); }", href)
    for page in two:
        page.wait_for_url(f"**{href}")
        expect(page.locator("#claim-bar p")).to_be_visible()
    mine = [page.locator("#claim-bar").inner_text().startswith("You read") for page in two]
    assert sorted(mine) == [False, True]
    holder, other = two if mine[0] else two[::-1]
    who = "Rafael Reader" if mine[0] else "Sara Second"
    expect(other.locator("#claim-bar")).to_contain_text(f"Claimed by {who} until")
    expect(other.locator("#claim-bar")).to_contain_text("you cannot sign until the claim has ended")
    screenshot(other, "87-claimed-by-another")
    screenshot(holder, "88-claimed-by-me")
    other.get_by_label("Normal", exact=True).first.check()
    other.get_by_text("Likely", exact=True).first.click()
    other.get_by_role("button", name=re.compile("^Lock")).click()
    expect(other.get_by_text(re.compile("Nothing of yours was stored"))).to_be_visible()
    # Who leaves the page is done with it.
    holder.goto(f"{portal.url}/?view=open")
    expect(other.locator("#claim-bar")).to_contain_text("Nobody has claimed this study", timeout=40_000)
    other.get_by_role("button", name="Claim").click()
    expect(other.locator("#claim-bar")).to_contain_text("You read this study until")


@pytest.mark.xdist_group("embedded")
def test_a_reload_keeps_the_claim_and_the_next_case_is_one_key_away(two, portal):
    page = two[0]
    page.goto(f"{portal.url}/?view=all")
    links = page.locator(".row-link")
    first, second = (links.nth(number).get_attribute("href") for number in (0, 1))
    page.goto(f"{portal.url}{first}")
    expect(page.locator("#claim-bar")).to_contain_text("You read this study until")
    page.reload()
    expect(page.locator("#claim-bar")).to_contain_text("You read this study until")
    assert first.split("/")[2] in portal.manage("shell", "--no-imports", "--command", CLAIMS)
    page.locator("body").press("ArrowRight")
    page.wait_for_url(f"**{second}")
    expect(page.locator("#claim-bar")).to_contain_text("You read this study until")


def test_an_administrator_ends_a_claim_and_assigns_a_reader(visit, admin, radiologist, studies, screenshot):  # noqa: F811
    claim_take(actor=radiologist, study=studies[2])
    page = visit(admin).page
    row = page.locator(f"#study-{studies[2].pk}")
    expect(row).to_contain_text("Rafael Reader until")
    row.locator("summary").click()
    row.get_by_label("End the claim of").select_option("holder_away")
    screenshot(page, "89-admin-menu")
    row.get_by_role("button", name="End the claim").click()
    expect(row).not_to_contain_text("Rafael Reader until")
    row.get_by_label("Reader", exact=True).select_option(label="Rafael Reader")
    row.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_text("Assigned to Rafael Reader.")).to_be_visible()
    expect(row.locator(".cell-reader")).to_contain_text("Rafael Reader")


def test_the_list_on_a_phone_by_touch(visit, radiologist, studies, screenshot):  # noqa: F811
    page = visit(radiologist, phone=True).page
    screenshot(page, "90-phone-worklist", full_page=True)
    assert fits_the_phone(page)
    page.get_by_role("button", name="Filter and sort").tap()
    page.get_by_label("Order").scroll_into_view_if_needed()
    screenshot(page, "91-phone-filters")
    assert fits_the_phone(page)
    page.get_by_label("Order").select_option("name")
    page.wait_for_url("**sort=name**")
    row = page.locator(f"#study-{studies[4].pk}")
    row.locator("summary").tap()
    expect(row.get_by_role("button", name="Claim")).to_be_visible()
    screenshot(page, "92-phone-menu")
    row.get_by_role("button", name="Claim").tap()
    expect(row).to_contain_text("You until")
    assert not AuditEvent.objects.filter(action="claim_released").exists()
    small = page.evaluate(
        """() => [...document.querySelectorAll("main a, main button, main summary, main select, main input:not([type=hidden])")]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }) && element.offsetHeight > 0)
            .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect().height])
            .filter(([html, height]) => height < 44 && !html.includes("row-link") && !html.includes("visually-hidden"))"""
    )
    assert small == []
    assert fits_the_phone(page)
    row.get_by_role("link", name="Evans").tap()
    page.wait_for_url(f"**/studies/{studies[4].pk}/")
