"""A report is written, comes back after a reload and in another browser, is signed, added to, corrected and printed."""

from __future__ import annotations

import io

import pypdf
import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from diagnosis.models import Claim, ReportDraft, Review
from tests.e2e import test_cases
from tests.e2e.test_main_job import has_no_sideways_scrolling
from tests.factories import PASSWORD, ReportTextFactory
from tests.harness.portal import until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]

WAIT_MS = 20_000

study, visit = test_cases.study, test_cases.visit


@pytest.fixture
def ready_texts(study, site):
    ReportTextFactory(site=site, code="clear", name="Clear lungs", block="The lungs are clear.")
    ReportTextFactory(
        site=site,
        code="opacity",
        name="Opacity",
        block="",
        findings="Opacity in the ___ zone of the ___ lung.",
        impression="Pneumonia.",
    )


def open_study(page: Page, study) -> Page:
    page.goto(f"{page.url.split('/', 3)[0]}//{page.url.split('/', 3)[2]}/studies/{study.pk}/")
    page.locator("#report-fields").wait_for()
    return page


def saved(page: Page, within: str = "#report") -> None:
    expect(page.locator(within).locator("[data-draft-saved]")).to_contain_text("Saved ", timeout=WAIT_MS)


def until_kept(study, **values: str) -> None:
    kept = ReportDraft.objects.filter(study=study, **values)
    until(kept.exists, f"the draft holds {values}")


def drafts(study) -> list[str]:
    return list(ReportDraft.objects.filter(study=study).values_list("findings", flat=True))


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_from_the_first_word_to_the_corrected_report_on_paper(
    visit,
    screenshot,
    study,
    ready_texts,
    radiologist,
    phone,
):
    prefix = "81-phone" if phone else "80"
    page = open_study(visit(radiologist, phone=phone).page, study)
    act = (lambda place: place.tap()) if phone else (lambda place: place.click())

    # A text of the hospital by its name, another by its code; blanks are filled in one after the other.
    act(page.locator("#report").get_by_text("Insert a text"))
    screenshot(page, f"{prefix}-report-texts", full_page=True)
    act(page.locator("#report").get_by_role("button", name="Opacity"))
    findings = page.get_by_label("Findings")
    expect(findings).to_have_value("Opacity in the ___ zone of the ___ lung.")
    page.keyboard.type("lower")
    act(page.locator("#report").get_by_text("Insert a text"))
    comparison = page.get_by_label("Comparison")
    act(comparison)
    page.keyboard.type("None. .clear ")
    expect(comparison).to_have_value("None. The lungs are clear.")
    act(page.get_by_role("button", name="Undo the insertion"))
    expect(comparison).to_have_value("None. .clear ")
    comparison.fill("None.")

    # A blank that is left open stops the signature where it is.
    act(page.get_by_role("button", name="Confirm: COVID-19"))
    expect(page.locator("[data-draft-problem]")).to_contain_text("There is a blank")
    expect(findings).to_be_focused()
    page.wait_for_function("document.getSelection().toString() === '___'")
    page.keyboard.type("left")
    expect(findings).to_have_value("Opacity in the lower zone of the left lung.")
    expect(page.locator("[data-draft-problem]")).to_be_hidden(timeout=WAIT_MS)

    # All of it is back after a reload, also where the page is written before the last words have arrived.
    page.reload()
    expect(findings).to_have_value("Opacity in the lower zone of the left lung.", timeout=WAIT_MS)
    expect(comparison).to_have_value("None.")
    assert has_no_sideways_scrolling(page)
    screenshot(page, f"{prefix}-report-draft", full_page=True)

    act(page.get_by_role("button", name="Confirm: COVID-19"))
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader", timeout=WAIT_MS)
    expect(page.locator("#decision")).to_contain_text("Opacity in the lower zone of the left lung.")
    expect(page.locator("#report-fields")).to_have_count(0, timeout=WAIT_MS)
    assert drafts(study) == []
    screenshot(page, f"{prefix}-report-signed", full_page=True)

    act(page.get_by_role("link", name="Report and versions"))
    act(page.get_by_text("Add an addendum", exact=True))
    page.locator("#addendum_addendum").fill("Told Dr Doctor by telephone.")
    saved(page, "#addendum")
    page.reload()
    expect(page.locator("#addendum_addendum")).to_have_value("Told Dr Doctor by telephone.")
    act(page.get_by_role("button", name="Sign the addendum"))
    expect(page.get_by_role("heading", name="Version 2: Addendum")).to_be_visible()

    act(page.get_by_text("Correct the report", exact=True))
    page.get_by_label("Why the report is corrected").fill("Wrong side.")
    page.get_by_label("Findings").fill("Opacity in the lower zone of the right lung.")
    act(page.locator("#correction").get_by_label("Viral Pneumonia"))
    page.locator("#correction_reason").select_option("chronic")
    until_kept(study, label="viral_pneumonia", reason="chronic", change_reason="Wrong side.")
    page.reload()
    expect(page.locator("#correction").get_by_label("Viral Pneumonia")).to_be_checked()
    expect(page.locator("#correction_reason")).to_have_value("chronic")
    screenshot(page, f"{prefix}-report-correction", full_page=True)
    act(page.get_by_role("button", name="Sign the correction"))
    newest = page.locator("#version-3")
    expect(newest).to_contain_text("Wrong side.")
    expect(newest).to_contain_text("The report as it stands")
    expect(newest.locator("del").filter(has_text="left")).to_be_visible()
    expect(newest.locator("ins").filter(has_text="right")).to_be_visible()
    struck = newest.locator("del").filter(has_text="left")
    assert struck.evaluate("element => getComputedStyle(element).textDecorationLine") == "line-through"
    assert has_no_sideways_scrolling(page)
    screenshot(page, f"{prefix}-report-versions", full_page=True)

    address = newest.get_by_role("link", name="PDF of version 3").evaluate("link => link.href")
    paper = page.request.get(address)
    assert "no-store" in paper.headers["cache-control"]
    said = " ".join(sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(paper.body())).pages)
    assert "Opacity in the lower zone of the right lung." in said
    assert "Told Dr Doctor by telephone." in said
    kinds = Review.objects.filter(study=study).order_by("signed_at").values_list("kind", "label")
    assert list(kinds) == [
        ("signed", "covid19"),
        ("addendum", "covid19"),
        ("correction", "viral_pneumonia"),
    ]


def test_what_was_chosen_comes_back_after_a_reload_and_in_another_browser(
    visit,
    screenshot,
    study,
    radiologist,
):
    page = open_study(visit(radiologist).page, study)
    own = page.locator("#own-reading")
    own.locator("summary").click()
    own.get_by_label("Normal", exact=True).check()
    own.get_by_label("reason", exact=False).select_option("artefact")
    own.get_by_role("textbox", name="Note").fill("A clip.")
    until_kept(study, label="normal", reason="artefact", note="A clip.")

    page.reload()
    other = open_study(visit(radiologist, phone=True).page, study)
    for one in (page, other):
        own = one.locator("#own-reading")
        expect(own.get_by_label("Normal", exact=True)).to_be_checked()
        expect(own.get_by_label("reason", exact=False)).to_have_value("artefact")
        expect(own.get_by_role("textbox", name="Note")).to_have_value("A clip.")
    assert has_no_sideways_scrolling(other)
    screenshot(other, "84-phone-decision-kept", full_page=True)

    # Another choice is not taken back by what the page asks for by itself.
    page.locator("#own-reading").get_by_label("Viral Pneumonia", exact=True).check()
    with page.expect_response(lambda response: "/live/" in response.url):
        pass
    expect(page.locator("#own-reading").get_by_label("Viral Pneumonia", exact=True)).to_be_checked()
    page.get_by_role("button", name="Sign the override").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader", timeout=WAIT_MS)
    assert not ReportDraft.objects.exists()
    assert Review.objects.get().label == "viral_pneumonia"


def test_two_windows_never_overwrite_each_other_unseen(visit, study, radiologist):
    first = open_study(visit(radiologist).page, study)
    second = first.context.new_page()
    second.goto(first.url)
    first.get_by_label("Findings").fill("From the first window.")
    saved(first)
    second.get_by_label("Findings").fill("From the second window.")
    conflict = second.locator("[data-draft-conflict]")
    expect(conflict).to_contain_text("From the first window.", timeout=WAIT_MS)
    assert drafts(study) == ["From the first window."]
    conflict.get_by_role("button", name="Keep what is here").click()
    saved(second)
    expect(conflict).to_be_hidden()

    first.get_by_label("Findings").fill("From the first window again.")
    conflict = first.locator("[data-draft-conflict]")
    expect(conflict).to_contain_text("From the second window.", timeout=WAIT_MS)
    conflict.get_by_role("button", name="Take that text").click()
    expect(first.get_by_label("Findings")).to_have_value("From the second window.")
    first.get_by_role("button", name="Undo: back to the text that was here").click()
    expect(first.get_by_label("Findings")).to_have_value("From the first window again.")
    first.get_by_role("button", name="Confirm: COVID-19").click()
    expect(first.locator("#decision")).to_contain_text("From the first window again.", timeout=WAIT_MS)


def test_what_is_typed_when_the_session_has_ended_is_saved_after_the_next_login(
    visit,
    screenshot,
    study,
    radiologist,
):
    page = open_study(visit(radiologist).page, study)
    page.get_by_label("Findings").fill("Before.")
    saved(page)
    Session.objects.all().delete()
    page.get_by_label("Findings").fill("Typed after the session had ended.")
    problem = page.locator("[data-draft-problem]")
    expect(problem).to_contain_text("Your session has ended.", timeout=WAIT_MS)
    screenshot(page, "82-report-session-ended")
    assert drafts(study) == ["Before."]
    with page.context.expect_page() as opened:
        problem.get_by_role("link", name="Log in").click()
    enter(opened.value, radiologist)
    expect(problem).to_be_hidden(timeout=WAIT_MS)
    assert drafts(study) == ["Typed after the session had ended."]
    # The page works on as well: its forms have the new token.
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("Typed after the session had ended.", timeout=WAIT_MS)


def enter(page: Page, user) -> None:
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Worklist").wait_for()


def test_a_draft_does_not_go_to_whoever_logs_in_next_in_the_same_browser(
    visit,
    study,
    radiologist,
    second_radiologist,
):
    page = open_study(visit(radiologist).page, study)
    other = page.context.new_page()
    Session.objects.all().delete()
    other.goto(page.url.split("/studies/")[0] + "/accounts/login/")
    enter(other, second_radiologist)
    page.get_by_label("Findings").fill("Rafael's words.")
    expect(page.locator("[data-draft-problem]")).to_contain_text(
        "Somebody else has logged in", timeout=WAIT_MS
    )
    assert drafts(study) == []


def test_a_discarded_draft_can_be_brought_back(visit, study, radiologist):
    page = open_study(visit(radiologist).page, study)
    own = page.locator("#own-reading")
    own.locator("summary").click()
    own.get_by_label("Normal", exact=True).check()
    page.get_by_label("Findings").fill("Hasty.")
    until_kept(study, label="normal", findings="Hasty.")
    page.locator("#report").get_by_role("button", name="Discard").click()
    expect(page.get_by_label("Findings")).to_have_value("", timeout=WAIT_MS)
    expect(own.get_by_label("Normal", exact=True)).not_to_be_checked()
    assert drafts(study) == []
    page.get_by_role("button", name="Undo: bring the text back").click()
    expect(own.get_by_label("Normal", exact=True)).to_be_checked()
    saved(page)
    assert drafts(study) == ["Hasty."]
    assert ReportDraft.objects.get().label == "normal"


def test_the_page_that_refreshes_leaves_what_is_written_alone_until_somebody_else_has_signed(
    visit,
    study,
    radiologist,
    second_radiologist,
):
    page = open_study(visit(radiologist).page, study)
    page.get_by_label("Findings").fill("Mine.")
    saved(page)
    page.get_by_label("Findings").focus()
    with page.expect_response(lambda response: "/live/" in response.url):
        pass
    expect(page.get_by_label("Findings")).to_be_focused()
    Claim.objects.filter(study=study).delete()  # It would keep the second reader from signing.
    other = open_study(visit(second_radiologist).page, study)
    other.get_by_role("button", name="Confirm: COVID-19").click()
    expect(other.locator("#decision")).to_contain_text("Signed by", timeout=WAIT_MS)
    expect(page.locator("#report")).to_contain_text("Your draft, not signed", timeout=WAIT_MS)
    expect(page.locator("#report")).to_contain_text("Mine.")


def test_where_the_site_asks_the_password_signs(visit, screenshot, study, site, radiologist):
    type(site).objects.filter(pk=site.pk).update(signing_asks_password=True)
    page = open_study(visit(radiologist).page, study)
    page.locator("#confirm-password").fill("not the password")
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("This is not your password.", timeout=WAIT_MS)
    expect(page.locator("#own-reading")).not_to_have_attribute("open", "")
    expect(page.locator("#confirm-password")).to_be_focused()
    screenshot(page, "83-report-password")
    page.locator("#confirm-password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader", timeout=WAIT_MS)


def test_a_save_whose_answer_was_lost_is_no_conflict(visit, study, radiologist):
    page = open_study(visit(radiologist).page, study)
    lost = []

    def lose_the_first(route):
        if route.request.method != "POST" or lost:
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort()

    page.route("**/draft/", lose_the_first)
    page.get_by_label("Findings").fill("Once.")
    expect(page.locator("[data-draft-problem]")).to_contain_text(
        "the portal does not answer", timeout=WAIT_MS
    )
    assert (lost, drafts(study)) == ([200], ["Once."])
    page.get_by_label("Findings").fill("Once and again.")
    saved(page)
    expect(page.locator("[data-draft-conflict]")).to_be_hidden()
    expect(page.locator("[data-draft-problem]")).to_be_hidden()
    assert drafts(study) == ["Once and again."]
