"""Two blind readers and a third who decides; a PCR that comes late; a critical result that is told on until acknowledged.

A real browser before the portal's own pages in this process, so that the clock can be set: nothing here waits for minutes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from django.core import mail
from django.utils import timezone
from playwright.sync_api import Browser, Page, Response, expect

from diagnosis.models import (
    AuditEvent,
    CaseRules,
    CriticalEscalation,
    CriticalResult,
    Discrepancy,
    EscalationContact,
    ReportDraft,
    Review,
    SecondRead,
    SecondReadOpinion,
    Study,
    User,
)
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.critical_results import critical_mail_send, critical_results_escalate
from tests.e2e.conftest import DESKTOP, PHONE
from tests.e2e.test_main_job import has_no_sideways_scrolling
from tests.factories import (
    PASSWORD,
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
    UserFactory,
)
from tests.harness.portal import until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]


@pytest.fixture
def third(site) -> User:
    user = UserFactory(username="third", first_name="Theo", last_name="Third")
    membership_set(actor=system_user(), user=user, site=site, role="radiologist")
    return user


class Visit:
    """One person at a browser; ``received`` is all that the server has sent, but images, scripts and styles."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.received = page, url, []
        self.problems: list[str] = []
        page.on("response", self._keep)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _keep(self, response: Response) -> None:
        if "text/html" in response.headers.get("content-type", "") and response.status == 200:
            self.received.append(response.text())

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page


@pytest.fixture
def visit(browser: Browser, live_server, emptied_afterwards) -> Iterator[Callable[..., Visit]]:
    """Opens a browser of its own for a person who logs in by the form."""
    visits: list[Visit] = []

    def person(user: User, *, phone: bool = False) -> Visit:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP, has_touch=phone, is_mobile=phone, color_scheme="dark"
        )
        # The server shares this process with the test, and a busy machine with others.
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(f"{live_server.url}/accounts/login/")
        page.get_by_label("Username").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Worklist").wait_for()
        visits.append(Visit(page, live_server.url))
        return visits[-1]

    yield person
    for one in visits:
        one.page.context.close()
        assert one.problems == []


@pytest.fixture
def study(emptied_afterwards, site, doctor) -> Study:
    """Of a patient who is ill for nine days; the network says COVID-19."""
    now = timezone.now()
    taken = now - dt.timedelta(hours=5)
    patient = PatientFactory(site=site, mrn="CASE-1", person_name="Ejemplo^Clara")
    study = StudyFactory(patient=patient, submitted_by=doctor, status="to_read", performed_at=taken)
    PredictionFactory(image=ImageFactory(study=study), done=True)
    for days, temperature, saturation in ((7, "37.9", 97), (4, "38.8", 94), (1, "39.2", 90)):
        note = SymptomNoteFactory(
            patient=patient,
            text="",
            noted_at=now - dt.timedelta(days=days),
            onset_date=timezone.localdate(taken, site.tzinfo) - dt.timedelta(days=9),
            temperature_c=temperature,
            spo2_percent=saturation,
            exposure="contact",
        )
        note.symptoms.create(code="49727002", severity="moderate" if days > 1 else "severe")
    LabResultFactory(
        patient=patient,
        result="indeterminate",
        collected_at=now - dt.timedelta(days=6),
        received_at=now - dt.timedelta(days=5),
        ct_value="38.1",
        laboratory="Central",
    )
    return study


def override(page: Page, label: str) -> None:
    page.locator("#own-reading > summary").click()
    page.locator("#own-reading").get_by_label(label, exact=True).check()
    page.locator("#own-reading").get_by_label("reason", exact=False).select_option("artefact")
    page.get_by_role("button", name="Sign the override").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader")


def read_second(
    page: Page,
    label: str,
    *,
    sign: str = "Sign the second read",
    note: str = "",
    findings: str = "",
    password: str = "",
) -> None:
    panel = page.locator("#second-read")
    panel.get_by_label(label, exact=True).check()
    panel.get_by_label("Likely", exact=True).check()
    if findings:
        page.get_by_label("Findings").fill(findings)
    if password:
        panel.get_by_label("Your password").fill(password)
    if note:
        panel.get_by_role("textbox", name="Note").fill(note)
    panel.get_by_role("button", name=sign).click()
    panel.get_by_role("button", name=sign).wait_for(state="detached")


AI_WORDS = ("0.81", "0.12", "heat-map", "AI COVID-19")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_two_readers_disagree_and_a_third_decides(
    visit, screenshot, study, site, radiologist, second_radiologist, third, phone
):
    first = visit(radiologist, phone=phone)
    override(first.go(f"/studies/{study.pk}/"), "Normal")
    expect(first.page.locator("#second-read")).to_contain_text(
        "AI COVID-19 0.81, reader Normal: second reader"
    )
    site.reading_protocol = "read-first"  # From here on the network is hidden before one's own read.
    site.save()

    second = visit(second_radiologist, phone=phone)
    page = second.go("/second-reads/")
    expect(page.get_by_role("heading", name="For you to read second (1)")).to_be_visible()
    screenshot(page, f"80-second-reads{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#second-read")).to_contain_text("the first read is hidden from you")
    screenshot(page, f"81-second-reader{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    everything = "\n".join(second.received)
    for words in (*AI_WORDS, "Artefact or device", "reader Normal", "Overrode"):
        assert words not in everything, words
    site.signing_asks_password = True
    site.save()
    page.reload()
    page.locator("#second-read").get_by_label("Viral Pneumonia", exact=True).check()
    until(ReportDraft.objects.filter(study=study, label="viral_pneumonia").exists, "what was chosen is kept")
    page.reload()
    expect(page.locator("#second-read").get_by_label("Viral Pneumonia", exact=True)).to_be_checked()
    read_second(page, "Viral Pneumonia", note="Left base.", findings="Opacity, left base.", password=PASSWORD)
    assert not ReportDraft.objects.exists()
    expect(page.locator("#second-read")).to_contain_text("Opacity, left base.")
    expect(page.locator("#second-read")).to_contain_text("To be adjudicated")
    expect(page.locator("#second-read")).to_contain_text("First read, Rafael Reader")
    expect(page.locator("#second-read")).to_contain_text("AI COVID-19 0.81")
    screenshot(page, f"82-second-read-given{'-phone' * phone}", full_page=True)

    decider = visit(third, phone=phone)
    page = decider.go("/second-reads/")
    page.get_by_role("button", name="Adjudicate").click()
    expect(page.locator("#second-read")).to_contain_text("Second reader, Sara Second")
    assert not any(words in "\n".join(decider.received) for words in AI_WORDS)
    page.locator("#second-read").get_by_label("Your password").fill(PASSWORD)
    page.locator("#second-read").get_by_role("button", name="Sign the decision").click()
    expect(page.get_by_text("Write for both readers why you decide so.")).to_be_visible()
    screenshot(page, f"83-adjudication{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    read_second(
        page,
        "Viral Pneumonia",
        sign="Sign the decision",
        note="I agree with the second reader.",
        password=PASSWORD,
    )

    page = first.go(f"/studies/{study.pk}/")
    expect(page.locator("#second-read")).to_contain_text("Adjudicator, Theo Third")
    expect(page.locator("#second-read")).to_contain_text("The adjudication differs from the signed report")
    screenshot(page, f"84-adjudicated{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    assert SecondRead.objects.get().state == "adjudicated"
    assert [opinion.reader for opinion in SecondReadOpinion.objects.all()] == [second_radiologist, third]
    assert Review.objects.get().label == "normal"


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_pcr_that_comes_after_the_signature_opens_a_discrepancy(
    visit, screenshot, study, radiologist, doctor, phone
):
    reader = visit(radiologist, phone=phone)
    page = reader.go(f"/studies/{study.pk}/")
    page.get_by_role("button", name="Confirm:").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader")

    clinician = visit(doctor, phone=phone)
    page = clinician.go(f"/studies/{study.pk}/")
    page.get_by_text("Add a PCR result", exact=True).click()
    page.get_by_label("Not detected", exact=True).check()
    page.get_by_label("Sample collected").fill(
        timezone.localtime(timezone.now() - dt.timedelta(hours=4), study.site.tzinfo).strftime(
            "%Y-%m-%dT%H:%M"
        )
    )
    page.get_by_role("button", name="Add the PCR result").click()
    expect(page.get_by_text("The PCR result is on the timeline.")).to_be_visible()
    expect(page.locator("#discrepancies")).to_contain_text("The signed read was not changed.")
    expect(page.locator("#timeline")).to_contain_text("PCR negative, reader COVID-19, day 9: second reader")
    expect(page.locator("#second-read")).to_contain_text(
        "PCR negative, reader COVID-19, day 9: second reader"
    )
    expect(page.get_by_role("img", name="Course of the illness")).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("day 9")
    page.get_by_role("img", name="Course of the illness").scroll_into_view_if_needed()
    screenshot(page, f"85-timeline{'-phone' * phone}", full_page=phone)
    assert has_no_sideways_scrolling(page)

    page = reader.go("/second-reads/")
    expect(page.get_by_text("PCR negative, reader COVID-19, day 9: second reader").first).to_be_visible()
    screenshot(page, f"86-discrepancies{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    page.get_by_role("link", name="Open").first.click()
    panel = page.locator("#discrepancies")
    panel.get_by_role("button", name="I look into it").click()
    expect(panel).to_contain_text("Being looked into")
    panel.get_by_label("What was decided").select_option("stands")
    panel.get_by_role("button", name="Settle it").click()
    expect(panel).to_contain_text("Write why the read stands")
    panel.get_by_label("Note").fill("Sampled on day 9: a negative PCR does not exclude it.")
    panel.get_by_role("button", name="Settle it").click()
    expect(panel).to_contain_text("Resolved: the signed read stands")
    screenshot(page, f"87-discrepancy-settled{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    item = Discrepancy.objects.get()
    assert [(move.after, move.actor) for move in item.moves.all()] == [
        ("acknowledged", radiologist), ("resolved", radiologist),
    ]  # fmt: skip
    assert Review.objects.get().label == "covid19"


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_critical_result_is_told_on_until_somebody_acknowledges_it(
    visit, screenshot, study, site, radiologist, second_radiologist, doctor, monkeypatch, phone
):
    for person in (doctor, second_radiologist):
        person.email = f"{person.username}@hospital.example"
        person.save()
    EscalationContact.objects.create(site=site, position=1, user=second_radiologist)
    CaseRules.objects.create(site=site, critical_minutes=5)
    real_now, ahead = timezone.now, dt.timedelta()
    monkeypatch.setattr(timezone, "now", lambda: real_now() + ahead)

    reader = visit(radiologist, phone=phone)
    page = reader.go(f"/studies/{study.pk}/")
    page.get_by_text("Flag a critical result").click()
    screenshot(page, f"88-flag{'-phone' * phone}", full_page=True)
    page.get_by_role("button", name="Flag it now").click()
    expect(page.get_by_text("Choose the finding from the list.")).to_be_visible()
    page.get_by_label("Tension pneumothorax").check()
    page.locator("#critical").get_by_label("What and where").fill("Right side, mediastinum shifted.")
    page.get_by_role("button", name="Flag it now").click()
    expect(page.locator("#critical")).to_contain_text("It is flagged, and the first person is being told.")
    assert has_no_sideways_scrolling(page)
    result = CriticalResult.objects.get()

    ahead = dt.timedelta(minutes=6)
    assert critical_results_escalate(actor=system_user()) == 1
    for key in CriticalEscalation.objects.values_list("pk", flat=True):
        critical_mail_send(escalation_id=key)
    assert [sent.to for sent in mail.outbox] == [
        ["doctor@hospital.example"],
        ["second_radiologist@hospital.example"],
    ]
    link = next(line for line in mail.outbox[1].body.splitlines() if line.startswith("http"))

    told = visit(second_radiologist, phone=phone)
    page = told.go(f"/critical/{link.rstrip('/').rsplit('/', 1)[1]}/")
    expect(page.get_by_text("Nobody has acknowledged it yet.")).to_be_visible()
    screenshot(page, f"89-critical{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    page.get_by_role("button", name="I act on it: acknowledge").click()
    expect(page.get_by_text("Acknowledged in the portal")).to_be_visible()
    ahead = dt.timedelta(minutes=12)
    assert critical_results_escalate(actor=system_user()) == 0

    page = reader.go(f"/critical/{result.pk}/")
    page.get_by_text("Record whom you told").click()
    page.get_by_role("textbox", name="Who was told").fill("Dr Day, emergency room")
    page.get_by_label("How").select_option("phone")
    page.get_by_label("They read it back").check()
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_text("Dr Day, emergency room")).to_be_visible()
    page.get_by_text("The entry is wrong", exact=True).click()
    page.get_by_label("Why the entry is wrong").fill("Skin fold.")
    page.get_by_role("button", name="Cancel the entry").click()
    expect(page.get_by_text("Entered by mistake")).to_be_visible()
    screenshot(page, f"90-critical-cancelled{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    page = reader.go("/critical/")
    screenshot(page, f"91-critical-list{'-phone' * phone}", full_page=True)
    assert has_no_sideways_scrolling(page)
    actions = AuditEvent.objects.filter(action__startswith="critical_").order_by("seq")
    assert [event.action.removeprefix("critical_") for event in actions] == [
        "flagged", "escalated", "escalated", "acknowledged", "told", "cancelled",
    ]  # fmt: skip
