"""The three reading protocols in a browser; where readers read first, all that their browser receives is searched.

Chromium before the portal's own pages in this process, so that the network can answer exactly when a test wants it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from diagnosis.models import FirstRead, Prediction, Review, Site, Study, User
from tests.e2e.conftest import DESKTOP, PHONE
from tests.e2e.test_main_job import has_no_sideways_scrolling
from tests.factories import (
    PASSWORD,
    ImageFactory,
    ModelVersionFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]
expect.set_options(timeout=15_000)

PROBABILITIES = {"covid19": 0.7391, "viral_pneumonia": 0.1682, "normal": 0.0927}
#: The scores as programs and as people read them, the addresses of maps and opinions, and the model that answered.
TOLD = ("0.7391", "0.1682", "0.0927", "0.74", "0.17", "heat-map/", "/predictions/", "canary-net")


@pytest.fixture
def study(emptied_afterwards, site, doctor) -> Study:
    site.reading_protocol = "read-first"
    site.save()
    ModelVersionFactory()
    study = StudyFactory(
        patient=PatientFactory(site=site, mrn="READ-1", person_name="Lectora^Pilar"),
        submitted_by=doctor,
        status="to_read",
    )
    answered(ImageFactory(study=study))
    return study


def answered(image) -> Prediction:
    """By an earlier model, so that its name is nowhere on the pages but where it answered."""
    labels = ModelVersionFactory().labels
    version = ModelVersionFactory(name="canary-net", version="9.9.9", labels=labels, is_active=False)
    return PredictionFactory(image=image, model_version=version, done=True, probabilities=PROBABILITIES)


class Visit:
    """One person at a browser. ``received`` is every answer of the server, as it came, but the shared scripts and styles."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.received: list[tuple[str, str]] = []
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.route(lambda address: "/static/" not in address, self._pass_on)

    def _pass_on(self, route: Route) -> None:
        """Every request, whatever asks it, goes through here: nothing can reach the browser unsearched."""
        response = route.fetch(max_redirects=0)
        content = response.body()
        headers = "\n".join(f"{header['name']}: {header['value']}" for header in response.headers_array)
        everything = "\n".join((route.request.url, headers, content.decode("latin-1")))
        self.received.append((f"{route.request.method} {route.request.url}", everything))
        route.fulfill(response=response, body=content)

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def asks_again(self) -> None:
        """Return once the study page has asked for its fragment by itself."""
        with self.page.expect_response(lambda response: "/live/" in response.url):
            pass

    def told(self) -> list[tuple[str, str]]:
        """Where the address, the headers or the body of an answer says something of ``TOLD``; then it starts anew."""
        assert self.received, "nothing was received, so nothing was searched"
        found = [(asked, word) for asked, everything in self.received for word in TOLD if word in everything]
        self.received.clear()
        return found


@pytest.fixture
def visit(browser: Browser, live_server, emptied_afterwards) -> Iterator[Callable[..., Visit]]:
    """Opens a browser of its own for a person who logs in by the form."""
    visits: list[Visit] = []

    def person(user: User, *, phone: bool = False) -> Visit:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP, has_touch=phone, is_mobile=phone, color_scheme="dark"
        )
        page = context.new_page()
        one = Visit(page, live_server.url)
        visits.append(one)
        page.goto(f"{live_server.url}/accounts/login/")
        page.get_by_label("Username").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Worklist").wait_for()
        return one

    yield person
    for one in visits:
        one.page.unroute_all(behavior="ignoreErrors")
        one.page.context.close()
    for answering in threading.enumerate():
        # The tables are emptied next, and a page may have asked for its fragment a moment ago.
        if "process_request_thread" in answering.name:
            answering.join(10)
    assert [problem for one in visits for problem in one.problems] == []


def choose(page: Page, label: str, confidence: str = "Likely") -> None:
    form = page.locator("#first-read")
    form.get_by_label(label, exact=True).check()
    form.get_by_label(confidence, exact=True).check()


def lock(page: Page, label: str, confidence: str = "Likely") -> None:
    choose(page, label, confidence)
    page.get_by_role("button", name="Lock my read").click()
    page.locator("#first-read").wait_for(state="detached")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_reader_reads_first_then_sees_the_opinion_and_signs(visit, screenshot, study, radiologist, phone):
    reader = visit(radiologist, phone=phone)
    name = "phone" if phone else "desktop"
    expect(reader.page.get_by_text("After the read").first).to_be_visible()
    page = reader.go(f"/studies/{study.pk}/")
    expect(page.locator("#opinion")).to_contain_text("Shown once you have locked your own read")
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)
    reader.asks_again()
    reader.go(f"/patients/{study.patient.pk}/")
    reader.go("/")
    page = reader.go(f"/studies/{study.pk}/")
    screenshot(page, f"read-first-{name}-1-own-read", full_page=phone)
    assert has_no_sideways_scrolling(page)
    choose(page, "COVID-19", "Most likely")
    assert reader.told() == []

    page.get_by_role("button", name="Lock my read").click()
    expect(page.locator(".two-reads")).to_contain_text("Most likely")
    expect(page.locator(".two-reads")).to_contain_text("COVID-19 0.74")
    expect(page.locator("#opinion table.scores")).to_contain_text("0.17")
    screenshot(page, f"read-first-{name}-2-revealed", full_page=phone)
    assert has_no_sideways_scrolling(page)
    assert reader.told() != []  # The same search finds it now: it could have failed.
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader")
    expect(page.locator("#decision")).to_contain_text(
        "First read, before the second opinion: COVID-19, most likely"
    )
    review = Review.objects.get()
    assert (review.decision, review.protocol) == ("confirm", "read-first")
    assert review.first_read.locked_at <= review.first_read.reveal.revealed_at < review.signed_at


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_reader_keeps_another_label_with_one_coded_reason(visit, screenshot, study, radiologist, phone):
    page = visit(radiologist, phone=phone).go(f"/studies/{study.pk}/")
    lock(page, "Normal")
    own = page.locator("#own-reading")
    expect(page.get_by_role("button", name="Change to the second opinion: COVID-19")).to_be_visible()
    expect(own.get_by_label("Normal", exact=True)).to_be_checked()
    screenshot(page, f"read-first-{'phone' if phone else 'desktop'}-3-differs", full_page=phone)
    own.get_by_role("button", name="Sign the override").click()
    expect(own).to_contain_text("Choose why you override")
    own.get_by_label("reason", exact=False).select_option("chronic")
    own.get_by_role("button", name="Sign the override").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader")
    expect(page.locator("#decision .review")).to_contain_text("Prior or chronic change")
    assert (Review.objects.get().label, Review.objects.get().reason) == ("normal", "chronic")
    assert has_no_sideways_scrolling(page)


def test_a_reader_changes_to_the_opinion_in_one_click_and_both_reads_are_kept(visit, study, radiologist):
    page = visit(radiologist).go(f"/studies/{study.pk}/")
    lock(page, "Normal", "May be")
    page.get_by_role("button", name="Change to the second opinion: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("First read, before the second opinion: Normal, may be")
    assert (Review.objects.get().label, FirstRead.objects.get().label) == ("covid19", "normal")


def under_analysis() -> Callable[[], None]:
    """As if the network had not answered yet; what comes back lets it answer."""
    done = Prediction.objects.get()
    kept = {field: getattr(done, field) for field in ("label", "possible_labels", "probabilities")}
    empty = {"label": "", "possible_labels": [], "probabilities": {}}
    Prediction.objects.update(status="running", finished_at=None, **empty)
    Study.objects.update(status="analysing")

    def finish() -> None:
        Prediction.objects.update(status="done", finished_at=done.finished_at, **kept)
        Study.objects.update(status="to_read")

    return finish


def test_the_opinion_that_comes_after_the_lock_is_shown_by_itself(visit, screenshot, study, radiologist):
    finish = under_analysis()
    reader = visit(radiologist)
    page = reader.go(f"/studies/{study.pk}/")
    lock(page, "Normal")
    expect(page.locator("#decision")).to_contain_text("wait for it, or sign without it")
    expect(page.get_by_text("Sign without the second opinion")).to_be_visible()
    screenshot(page, "read-first-desktop-4-waits")
    assert reader.told() == []
    finish()
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74", timeout=15_000)
    assert FirstRead.objects.get().reveal.seen_predictions[0]["label"] == "covid19"


def test_the_opinion_is_asked_for_again_when_the_answer_was_lost(visit, study, radiologist):
    finish = under_analysis()
    page = visit(radiologist).go(f"/studies/{study.pk}/")
    lock(page, "Normal")
    lost: list[Route] = []

    def lose(route: Route) -> None:
        lost.append(route)
        route.fulfill(status=503, body="Busy.")

    page.route("**/reveal/", lose, times=1)
    finish()
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74")
    assert len(lost) == 1
    assert FirstRead.objects.get().reveal.seen_predictions[0]["label"] == "covid19"


def test_what_the_page_asked_before_the_lock_does_not_put_the_form_back(visit, study, radiologist):
    page = visit(radiologist).go(f"/studies/{study.pk}/")
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/live/**", lambda route: held.append((route, route.fetch())), times=1)
    with page.expect_request("**/live/**"):
        page.evaluate("document.body.dispatchEvent(new Event('study-changed'))")
    lock(page, "Normal")
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74")
    page.evaluate(
        """window.cameBack = 0;
        new MutationObserver(() => (window.cameBack += document.querySelectorAll('#first-read').length))
            .observe(document.body, {childList: true, subtree: true})"""
    )
    ((route, before_the_lock),) = held
    assert 'id="first-read"' in before_the_lock.text()
    with page.expect_event("requestfinished", lambda request: "/live/" in request.url):
        route.fulfill(response=before_the_lock)
    with page.expect_response("**/live/**"):  # The next one: the earlier one is dealt with by then.
        page.evaluate("document.body.dispatchEvent(new Event('study-changed'))")
    assert page.evaluate("window.cameBack") == 0
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_after_the_lock_the_focus_is_at_the_opinion_and_the_page_where_it_was(
    visit, study, radiologist, phone
):
    page = visit(radiologist, phone=phone).go(f"/studies/{study.pk}/")
    choose(page, "Normal")
    button = page.get_by_role("button", name="Lock my read")
    button.focus()
    button.scroll_into_view_if_needed()
    before = page.evaluate("window.scrollY")
    if phone:
        assert before > 0
    page.keyboard.press("Enter")
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74")
    expect(page.locator("#opinion-title")).to_be_focused()
    expect(page.locator("#opinion-said")).to_have_text("COVID-19")
    assert page.evaluate("window.scrollY") == before


def test_who_need_not_wait_signs_without_the_opinion(visit, study, radiologist):
    empty = {"label": "", "possible_labels": [], "probabilities": {}}
    Prediction.objects.update(status="queued", finished_at=None, **empty)
    page = visit(radiologist).go(f"/studies/{study.pk}/")
    lock(page, "Normal")
    page.get_by_text("Sign without the second opinion").click()
    expect(page.locator("#own-reading").get_by_label("Normal", exact=True)).to_be_checked()
    page.get_by_role("button", name="Sign the read").click()
    expect(page.locator("#decision")).to_contain_text("Read without a second opinion")
    assert Review.objects.get().seen_predictions == []


def test_images_that_come_while_reading_are_announced_and_never_read_unseen(visit, study, radiologist):
    reader = visit(radiologist)
    page = reader.go(f"/studies/{study.pk}/")
    choose(page, "Normal")
    answered(ImageFactory(study=study))
    expect(page.locator("#decision")).to_contain_text("Images were added to this study", timeout=15_000)
    expect(page.locator("#first-read").get_by_label("Normal", exact=True)).to_be_checked()
    page.get_by_role("button", name="Lock my read").click()
    expect(page.locator("#decision")).to_contain_text("Nothing was locked")
    assert reader.told() == []
    assert not FirstRead.objects.exists()
    page.get_by_role("link", name="Reload the page").click()
    lock(page, "Normal")
    assert FirstRead.objects.get().image_rows.count() == 2


def test_nothing_moves_under_the_hands_when_the_page_asks_again(visit, study, radiologist):
    reader = visit(radiologist)
    page = reader.go(f"/studies/{study.pk}/")
    choose(page, "Normal")
    places = "[...document.querySelectorAll('#study-live .panel')].map((panel) => panel.getBoundingClientRect().top)"
    before = page.evaluate(places)
    reader.asks_again()
    reader.asks_again()  # The first answer is in its place by then.
    assert page.evaluate(places) == before
    expect(page.locator("#first-read").get_by_label("Normal", exact=True)).to_be_checked()


@pytest.mark.parametrize("protocol", ["concurrent", "ai-first"])
def test_elsewhere_the_opinion_stands_beside_the_image_from_the_start(
    visit, screenshot, study, radiologist, protocol
):
    Site.objects.update(reading_protocol=protocol)
    reader = visit(radiologist)
    page = reader.go(f"/studies/{study.pk}/")
    expect(page.locator("#opinion table.scores")).to_contain_text("0.74")
    expect(page.get_by_role("button", name="Lock my read")).to_have_count(0)
    screenshot(page, f"{protocol}-desktop")
    page.get_by_role("button", name="Confirm: COVID-19").click()
    expect(page.locator("#decision")).to_contain_text("Signed by Rafael Reader")
    assert Review.objects.get().protocol == protocol
