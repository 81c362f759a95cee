"""No page jumps while somebody reads: what comes later finds its place kept, and what is polled moves nothing.

Measured as browsers do it, by the layout shifts that nobody's hand caused (https://web.dev/articles/cls): their sum, which is
never less than the score of web.dev, stays below what is called good there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from diagnosis.models import PredictionStatus, Study, StudyStatus
from diagnosis.services.critical_results import critical_flag
from tests.e2e.test_cases import visit  # noqa: F401  A fixture.
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]

GOOD = 0.1
WATCH = """() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            if (!entry.hadRecentInput) {
                const moved = entry.sources.map(({ node }) => (node?.outerHTML ?? node?.textContent ?? "").slice(0, 120));
                window.shifts.push([entry.value, moved]);
            }
        }
    }).observe({ type: "layout-shift", buffered: true });
}"""
#: Two frames: a shift is told of after the frame that it happened in.
DRAWN = (
    "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
)
DEVICES = ("desk", "phone")


def shifts(page: Page) -> list[tuple[float, list[str]]]:
    page.evaluate(DRAWN)
    return [(round(value, 4), moved) for value, moved in page.evaluate("window.shifts")]


def assert_still(page: Page, what: str) -> None:
    found = shifts(page)
    assert sum(value for value, _moved in found) < GOOD, (what, found)


def poll(page: Page, event: str, address: str) -> None:
    """What the page does by itself every some seconds."""
    with page.expect_response(re.compile(address)):
        page.evaluate(f"document.body.dispatchEvent(new Event('{event}'))")
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)


def opened(visit: Callable, user, path: str, *, phone: bool) -> Page:  # noqa: F811
    one = visit(user, phone=phone)
    one.page.add_init_script(f"({WATCH})()")
    page = one.go(path)
    expect(page.locator("[hx-trigger^=load], .htmx-request")).to_have_count(0)
    return page


def top_of(page: Page, selector: str) -> float:
    return page.locator(selector).first.bounding_box()["y"]


@pytest.fixture
def studies(emptied_afterwards, site, doctor) -> list[Study]:
    made = []
    for number in range(30):
        patient = PatientFactory(site=site, person_name=f"Name{number:02d}^Ana")
        study = StudyFactory(patient=patient, submitted_by=doctor, status="to_read")
        PredictionFactory(image=ImageFactory(study=study), done=True)
        made.append(study)
    return made


@pytest.mark.parametrize("device", DEVICES)
def test_the_worklist_stays_where_it_is_while_it_polls(visit, radiologist, studies, site, device):  # noqa: F811
    page = opened(visit, radiologist, "/", phone=device == "phone")
    page.evaluate("window.scrollTo(0, 600)")
    page.evaluate(DRAWN)
    seen = page.evaluate("window.scrollY")
    row = f'[data-row]:has([href*="{studies[20].pk}"])'
    at = top_of(page, row)
    LabResultFactory(patient=studies[2].patient, result="detected")
    Study.objects.filter(pk=studies[3].pk).update(status=StudyStatus.ANALYSING)
    for _ in range(3):
        late = PatientFactory(site=site, person_name="Nuevo^N")
        StudyFactory(patient=late, status="to_read", priority="stat")
    poll(page, "worklist-changed", "/worklist/refresh/")
    expect(page.get_by_role("link", name="3 new studies: show")).to_be_attached()
    assert page.evaluate("window.scrollY") == seen
    assert top_of(page, row) == at
    assert_still(page, f"worklist, {device}")


@pytest.fixture
def study(emptied_afterwards, site, doctor) -> Study:
    patient = PatientFactory(site=site, mrn="STILL-1", person_name="Quieta^Ana")
    study = StudyFactory(patient=patient, submitted_by=doctor, status="analysing")
    PredictionFactory(image=ImageFactory(study=study))
    for text in ("Cough since Monday.", "Fever, tired."):
        SymptomNoteFactory(patient=patient, text=text)
    LabResultFactory(patient=patient, result="detected")
    return study


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("protocol", ["read-first", "concurrent"])
def test_the_study_page_stays_where_it_is_while_the_viewer_loads_and_news_come(
    visit,  # noqa: F811
    radiologist,
    study,
    site,
    protocol,
    device,
):
    site.reading_protocol = protocol
    site.save()
    page = opened(visit, radiologist, f"/studies/{study.pk}/", phone=device == "phone")
    expect(page.get_by_role("toolbar")).to_be_visible()
    expect(page.locator("[data-pane=current]")).to_have_attribute("data-state", "painted")
    assert_still(page, f"loading, {protocol}, {device}")
    page.evaluate("window.scrollTo(0, 400)")
    page.evaluate(DRAWN)
    seen = page.evaluate("window.scrollY")
    LabResultFactory(patient=study.patient, result="not_detected")
    prediction = study.images.get().predictions.get()
    finished = PredictionFactory.build(
        done=True, image=prediction.image, model_version=prediction.model_version
    )
    for field in (
        "probabilities",
        "label",
        "possible_labels",
        "activation_maps",
        "operating_point",
        "timings",
    ):
        setattr(prediction, field, getattr(finished, field))
    prediction.status, prediction.finished_at = PredictionStatus.DONE, finished.finished_at
    prediction.save()
    Study.objects.filter(pk=study.pk).update(status=StudyStatus.TO_READ)
    poll(page, "study-changed", "/live/")
    assert page.evaluate("window.scrollY") == seen
    assert_still(page, f"the opinion has come, {protocol}, {device}")
    critical_flag(actor=radiologist, study=study, finding="pneumothorax")
    poll(page, "study-changed", "/live/")
    expect(page.get_by_role("link", name="New pneumothorax")).to_be_attached()
    assert page.evaluate("window.scrollY") == seen
    assert_still(page, f"a critical result was flagged, {protocol}, {device}")


def test_a_jump_is_found(visit, radiologist, studies):  # noqa: F811
    page = opened(visit, radiologist, "/", phone=False)
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('afterbegin', `<div>${'<p>News</p>'.repeat(20)}</div>`)"
    )
    assert sum(value for value, _moved in shifts(page)) > GOOD
