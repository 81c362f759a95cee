"""Every page of the portal for everybody: axe-core finds nothing serious, a phone scrolls in one direction, a finger hits.

The pages are those of the URL configuration: an address without a row in the tables of this file fails. Each page is opened at
a desk and on a phone of 360 x 740, and looked at in the dark and in the light theme.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from django.contrib import admin as django_admin
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from django.utils.http import int_to_base36
from playwright.sync_api import Browser, BrowserContext, Page, expect

from diagnosis.models import HeldFile, OutboxMessage, PacsPeer, Study, User
from tests.case_records import case_records
from tests.e2e.conftest import DESKTOP, PHONE, ROOT
from tests.factories import (
    FirstReadFactory,
    HeldFileFactory,
    ImageFactory,
    IncomingFileFactory,
    LabResultFactory,
    ModelPictureFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    SiteFactory,
    StudyFactory,
    SymptomNoteFactory,
)
from tests.web import test_access

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
DOCTOR, RADIOLOGIST, ADMIN, NOBODY = "doctor", "radiologist", "admin", ""

# The pages of their own: (address, whose eyes, which record). What a page shows in another state has another row.
PAGES = [
    ("web:home", RADIOLOGIST, ""),
    ("web:home", DOCTOR, ""),
    ("web:home", "newcomer", ""),
    ("web:confirm", DOCTOR, ""),
    ("web:confirm", RADIOLOGIST, ""),
    ("web:archives", DOCTOR, ""),
    ("web:study", RADIOLOGIST, "to_read"),
    ("web:study", RADIOLOGIST, "unread"),
    ("web:study", RADIOLOGIST, "locked"),
    ("web:study", DOCTOR, "to_read"),
    ("web:study", RADIOLOGIST, "failed"),
    ("web:study", RADIOLOGIST, "refused"),
    ("web:study", RADIOLOGIST, "queued"),
    ("web:study", RADIOLOGIST, "signed"),
    ("web:study", RADIOLOGIST, "second_read"),
    ("web:study", DOCTOR, "critical_study"),
    ("web:report", RADIOLOGIST, "signed"),
    ("web:report", DOCTOR, "signed"),
    ("web:patient", DOCTOR, "patient"),
    ("web:patient", RADIOLOGIST, "quiet_patient"),
    ("web:lab_results", DOCTOR, "patient"),
    ("web:symptom_notes", DOCTOR, "patient"),
    ("web:second_reads", RADIOLOGIST, ""),
    ("web:second_reads", "newcomer", ""),
    ("web:critical_results", RADIOLOGIST, ""),
    ("web:critical_results", "newcomer", ""),
    ("web:critical_result", DOCTOR, "critical"),
    ("web:critical_result", RADIOLOGIST, "critical"),
    ("web:preferences", DOCTOR, ""),
    ("web:deidentification", DOCTOR, ""),
    ("web:models", DOCTOR, ""),
    ("web:model", DOCTOR, "model"),
    ("account_login", NOBODY, ""),
    ("account_logout", DOCTOR, ""),
    ("account_inactive", NOBODY, ""),
    ("account_signup", NOBODY, ""),
    ("account_reauthenticate", DOCTOR, ""),
    ("account_email", DOCTOR, ""),
    ("account_email_verification_sent", NOBODY, ""),
    ("account_change_password", DOCTOR, ""),
    ("account_reset_password", NOBODY, ""),
    ("account_reset_password_done", NOBODY, ""),
    ("account_reset_password_from_key", NOBODY, "reset_key"),
    ("account_reset_password_from_key_done", NOBODY, ""),
    ("account_confirm_email", NOBODY, "wrong_key"),
    ("api_docs", DOCTOR, ""),
    ("admin:index", ADMIN, ""),
    ("admin:diagnosis_heldfile_change", ADMIN, "held"),
    # Not addresses, but pages that people see.
    ("404", DOCTOR, ""),
    ("403", DOCTOR, ""),
    ("429.html", NOBODY, ""),
    ("500.html", NOBODY, ""),
    ("503.html", NOBODY, ""),
]
# What a browser asks for, and is no page: files, and fragments, which are looked at in the page that holds them.
NO_PAGES = {
    "favicon",
    "healthz",
    "schema",
    "web:claim",
    "web:heat_map",
    "web:menu",
    "web:model_card",
    "web:model_picture",
    "web:next_study",
    "web:original",
    "web:preview",
    "web:report_draft",
    "web:report_pdf",
    "web:retrievals",
    "web:samples",
    "web:study_live",
    "web:thumbnail",
    "web:timeline",
    "web:viewing",
    "web:waiting",
    "web:waiting_preview",
    "web:waiting_thumbnail",
    # Redirects to the forms of the password.
    "account_set_password",
    "account_confirm_login_code",
}
# Machines ask there.
FOR_PROGRAMS = {"api", "dicomweb"}
# Drawn by others: the pages of the administration are Django's, those of the API Swagger's. Axe judges them as well, but their
# sizes on a phone are not ours.
OF_OTHERS = ("admin:", "api_docs")

# What cannot be mended from outside, with its reason.
KNOWN = {
    "api_docs": ["nested-interactive"]
}  # Swagger UI puts an address, a link, into the button that unfolds it.

TARGET = 44  # CSS px in both directions: WCAG 2.2, success criterion 2.5.5, which is AAA; AA asks for 24.


def names(resolver: URLResolver, namespace: str = "") -> Iterator[str]:
    """The names of all addresses below ``resolver``, as ``reverse`` takes them."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name:
                yield namespace + pattern.name
        elif pattern.app_name not in FOR_PROGRAMS:
            yield from names(pattern, f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace)


def test_every_address_is_in_the_tables():
    """The administration's generic pages, one of a kind for each model, are looked at by :func:`admin_pages`."""
    posted = {f"web:{name}" for method, name in test_access.TABLE if method != "get"}
    read = {f"web:{name}" for method, name in test_access.TABLE if method == "get"}
    known = {name for name, _, _ in PAGES} | NO_PAGES | (posted - read)
    assert {name for name in names(get_resolver()) if not name.startswith("admin:")} <= known
    assert read <= known


def admin_pages() -> list[tuple[str, str, str]]:
    return [
        (f"admin:diagnosis_{model._meta.model_name}_changelist", ADMIN, "")
        for model in django_admin.site._registry
        if model._meta.app_label == "diagnosis" and model is not OutboxMessage  # For superusers.
    ]


@dataclass(frozen=True, slots=True)
class Hospital:
    """The people and the records that the pages are about."""

    people: dict[str, User]
    arguments: dict[str, list[Any]]

    def path(self, name: str, record: str) -> str:
        return reverse(name, args=self.arguments.get(record, []))


@pytest.fixture
def hospital(emptied_afterwards, site, doctor, radiologist, admin, outsider) -> Hospital:
    """One record of everything that a page can show."""
    now = timezone.now()
    patient = PatientFactory(
        site=site, mrn="MRN-1", person_name="Ejemplo-Larga^Maria Angeles de los Remedios"
    )
    other = SiteFactory(name="Reads First", time_zone="Europe/Madrid", reading_protocol="read-first")
    radiologist.memberships.create(site=other, role="radiologist")

    def study(status: str = "to_read", at: Any = patient, **prediction: Any) -> Study:
        made = StudyFactory(
            patient=at, submitted_by=doctor, status=status, performed_at=now - dt.timedelta(days=2)
        )
        PredictionFactory(image=ImageFactory(study=made), **prediction)
        return made

    to_read, signed = study(done=True), study("read", done=True)
    ImageFactory(study=to_read)
    ReviewFactory(study=signed, reader=radiologist, findings="The lungs are clear.")
    unread = study(at=PatientFactory(site=other, person_name="Segundo^Luis"), done=True)
    locked = study(at=PatientFactory(site=other, person_name="Tercero^Ana"), done=True)
    FirstReadFactory(study=locked, reader=radiologist, revealed=True)
    records = case_records(patient, doctor=doctor, radiologist=radiologist)
    LabResultFactory(patient=patient, result="detected", collected_at=now - dt.timedelta(days=1))
    for days, temperature in ((4, "38.8"), (1, "39.2")):
        SymptomNoteFactory(
            patient=patient,
            noted_at=now - dt.timedelta(days=days),
            onset_date=timezone.localdate() - dt.timedelta(days=6),
            temperature_c=temperature,
            spo2_percent=94,
        )
    for _ in range(2):
        IncomingFileFactory(site=site, uploaded_by=doctor)
    PacsPeer.objects.create(
        site=site, name="PACS", account=doctor, query_protocol="dicomweb", dicomweb_url="http://127.0.0.1:9"
    )
    held: HeldFile = HeldFileFactory(patient=patient, uploaded_by=doctor)
    model = to_read.images.first().predictions.get().model_version
    ModelPictureFactory(model_version=model)
    return Hospital(
        people={"doctor": doctor, "radiologist": radiologist, "admin": admin, "newcomer": outsider},
        arguments={
            "to_read": [to_read.pk],
            "signed": [signed.pk],
            "unread": [unread.pk],
            "locked": [locked.pk],
            "failed": [study(failed=True).pk],
            "refused": [study(refused=True).pk],
            "queued": [study("analysing").pk],
            "second_read": [records.taken.study_id],
            "critical_study": [records.critical.study_id],
            "critical": [records.critical.pk],
            "patient": [patient.pk],
            "quiet_patient": [PatientFactory(site=site).pk],
            "model": [model.pk],
            "held": [held.pk],
            "reset_key": [int_to_base36(doctor.pk), default_token_generator.make_token(doctor)],
            "wrong_key": ["wrong"],
        },
    )


# WCAG 2.2 up to AA, and for the portal's own pages also what axe counts as best practice.
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
RUN_AXE = """async ([runOnly, known]) => {
    const rules = Object.fromEntries(known.map((rule) => [rule, { enabled: false }]));
    const found = await axe.run(document, { resultTypes: ["violations"], rules, ...(runOnly ? { runOnly } : {}) });
    return found.violations
        .filter((violation) => ["serious", "critical"].includes(violation.impact))
        .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html} ${any.map((one) => one.message)}`))
        .map((sentence) => sentence.slice(0, 320));
}"""
# Links within a sentence are exempt (2.5.8), and what a label enlarges is as large as the label.
SMALL_TARGETS = """(least) => {
    const controls = "a[href], button, summary, select, textarea, input:not([type=hidden]), [role=button], [role=slider]";
    const isSeen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".visually-hidden, .skip-link");
    const text = (one) => one?.textContent.trim();
    const isInSentence = (one) =>
        one.matches("a") && getComputedStyle(one).display === "inline" && text(one.closest("p, li, dd, td")) !== text(one);
    return [...document.querySelectorAll(controls)]
        .filter((one) => isSeen(one) && !isInSentence(one))
        .map((one) => {
            const labels = one.matches("[type=checkbox], [type=radio], [type=file]") ? one.labels : [];
            const boxes = [one, ...labels].map((part) => part.getBoundingClientRect());
            return [one, Math.max(...boxes.map((box) => box.width)), Math.max(...boxes.map((box) => box.height))];
        })
        .filter(([, width, height]) => width && height && (width < least - 0.5 || height < least - 0.5))
        .map(([one, width, height]) => `${Math.round(width)} x ${Math.round(height)}: ${one.outerHTML.slice(0, 160)}`);
}"""


COLOURS_HAVE_CHANGED = """() => Promise.all(
    document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished)
)"""
# What a page asks for once it is there, and has not got yet. (Pages that poll are never idle.)
ON_ITS_WAY = "[hx-trigger^=load], .htmx-request"


@pytest.fixture
def looker(browser: Browser, live_server, hospital: Hospital) -> Iterator[Callable[..., list[str]]]:
    """Opens one page after the other in the browser of each person; gives what is wrong with them."""
    contexts: dict[str, BrowserContext] = {}

    def page_of(person: str, *, phone: bool) -> Page:
        if person not in contexts:
            context = browser.new_context(
                viewport=PHONE if phone else DESKTOP, has_touch=phone, is_mobile=phone, color_scheme="dark"
            )
            contexts[person] = context
            if person:
                client = Client()
                client.force_login(hospital.people[person])
                context.add_cookies(
                    [
                        {"name": name, "value": cookie.value, "url": live_server.url}
                        for name, cookie in client.cookies.items()
                    ]
                )
            context.new_page()
        return contexts[person].pages[0]

    def opened(page: Page, name: str, record: str) -> None:
        if name.endswith(".html"):
            # What a server that cannot answer otherwise says; the styles are those of the real one.
            address = f"{live_server.url}/{name}"
            body = render_to_string(name, request=RequestFactory().get("/"))
            page.route(address, lambda route: route.fulfill(body=body, content_type="text/html"))
            page.goto(address)
        elif name in {"403", "404"}:
            page.goto(f"{live_server.url}/{'archives/' if name == '403' else 'nothing-is-here/'}")
        else:
            load(page, f"{live_server.url}{hospital.path(name, record)}")

    def load(page: Page, address: str) -> None:
        """The test's database is in the memory of many threads: it refuses at times where a real one waits."""
        for _ in range(5):
            answer = page.goto(address)
            assert answer is not None
            try:
                expect(page.locator(ON_ITS_WAY)).to_have_count(0)
            except AssertionError:
                continue
            if answer.ok:
                break
        else:
            raise AssertionError(f"{address} is never complete: {answer.status}")
        # A reader who leaves lets go of the study, which would stand in the way of the next page.
        page.evaluate("document.querySelector('[data-claim-leave]')?.removeAttribute('data-claim-leave')")

    def problems(pages: list[tuple[str, str, str]], *, phone: bool) -> list[str]:
        wrong = []
        for name, person, record in pages:
            page = page_of(person, phone=phone)
            page.emulate_media(color_scheme="dark")
            opened(page, name, record)
            page.evaluate(AXE.read_text())
            is_theirs = name.startswith(OF_OTHERS)
            where = " ".join(filter(None, (name, person, record)))
            wrong += [
                f"{where} | {one}"
                for one in page.evaluate(RUN_AXE, [WCAG if is_theirs else None, KNOWN.get(name, [])])
            ]
            if phone and not is_theirs:
                width = page.evaluate("document.documentElement.scrollWidth")
                wrong += [f"{where} | {width} px wide"] * (width > PHONE["width"])
                wrong += [f"{where} | {one}" for one in page.evaluate(SMALL_TARGETS, TARGET)]
            page.emulate_media(color_scheme="light")
            page.evaluate(COLOURS_HAVE_CHANGED)
            wrong += [f"{where}, light | {one}" for one in page.evaluate(RUN_AXE, [CONTRAST, []])]
        return wrong

    yield problems
    for context in contexts.values():
        context.close()


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_no_page_keeps_anybody_out(looker, device):
    assert looker([*PAGES, *admin_pages()], phone=device == "phone") == []


def test_what_keeps_people_out_is_found(browser, page):
    """The searches above find what they are for."""
    page.set_viewport_size(PHONE)
    page.set_content(
        '<html lang="en"><title>Planted</title><main><h1>Planted</h1><img src="data:,"><button></button>'
        '<p><a href="#a">Alone</a></p><div style="width: 500px">Wide</div></main></html>'
    )
    page.evaluate(AXE.read_text())
    found = page.evaluate(RUN_AXE, [None, []])
    assert {one.partition(":")[0] for one in found} >= {"image-alt", "button-name"}
    assert any("Alone" in one for one in page.evaluate(SMALL_TARGETS, TARGET))
    assert page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]
