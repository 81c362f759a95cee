"""Every page of the portal's own in Spanish: no English word is left, and its longer words fit the phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from diagnosis.models import User
from tests.e2e.conftest import DESKTOP, PHONE
from tests.e2e.test_accessibility import (
    ON_ITS_WAY,
    PAGES,
    Hospital,
    hospital,  # noqa: F401  A fixture.
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("live_server")]

#: What English says all the time, and Spanish never. Whole words: names of people, hospitals, files and codes have none of them.
ENGLISH = re.compile(
    r"\b(?:the|and|of|is|are|was|were|not|with|without|this|that|your|you|it|its|by|for|from|read|reads|signed|study|studies|image|"
    r"images|patient|file|files|second opinion|unsure|refused|failed|waiting|model|label|labels|open|save|cancel|add|day|days|"
    r"record number|name|birth date|sex|result|results|report|findings|impression|addendum|sources|class|share|test)\b",
    re.IGNORECASE,
)
#: The text that is seen or read aloud, line by line, without what people typed (``bdi``, texts of reports), what is said to be in
#: English, and what is the same everywhere (keys, codes, the browser's own lists of time zones and languages).
SAID = """() => {
    const leave = "[lang=en], bdi, kbd, code, script, style, noscript, svg, .written, select[name=time_zone]";
    const copy = document.querySelector("main").cloneNode(true);
    copy.querySelectorAll(leave).forEach((one) => one.remove());
    const texts = [];
    const walker = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) texts.push(walker.currentNode.textContent);
    for (const one of copy.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
        for (const name of ["aria-label", "title", "placeholder", "alt"]) texts.push(one.getAttribute(name) ?? "");
    return texts.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""
#: What the records of these pages say: as it was typed, or kept before there were other languages.
TYPED = (
    "Reads First",
    # Attributes bear the names that DICOM gives them.
    "Patient Identity Removed, De-identification Method y su secuencia de códigos (113100) dicen qué se hizo.",
    "The lungs are clear.",
    "The analysis took too long and was stopped.",
    "This is not a frontal chest X-ray. Send the frontal image of the study.",
)
OWN = [page for page in PAGES if page[0].startswith("web:") or page[0] in ("404", "403")]


@pytest.fixture
def spanish(browser: Browser, live_server, hospital: Hospital) -> Iterator[Callable[..., Page]]:  # noqa: F811
    contexts: dict[str, BrowserContext] = {}

    def opened(name: str, person: str, record: str, *, phone: bool) -> Page:
        if person not in contexts:
            User.objects.update(language="es")
            client = Client()
            client.force_login(hospital.people[person])
            contexts[person] = browser.new_context(
                viewport=PHONE if phone else DESKTOP, has_touch=phone, is_mobile=phone
            )
            contexts[person].add_cookies(
                [
                    {"name": name, "value": cookie.value, "url": live_server.url}
                    for name, cookie in client.cookies.items()
                ]
            )
            contexts[person].new_page()
        page = contexts[person].pages[0]
        path = {"403": "/archives/", "404": "/nothing-is-here/"}.get(name) or hospital.path(name, record)
        for _ in range(
            5
        ):  # The test's database is in the memory of many threads: it refuses at times where a real one waits.
            answer = page.goto(f"{live_server.url}{path}")
            expect(page.locator(ON_ITS_WAY)).to_have_count(0)
            if answer is not None and answer.status < 500:
                break
        page.evaluate("document.querySelector('[data-claim-leave]')?.removeAttribute('data-claim-leave')")
        return page

    yield opened
    for context in contexts.values():
        context.close()


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_no_page_says_a_word_of_english_or_is_wider_than_the_phone(spanish, screenshot, device):
    wrong = []
    for name, person, record in OWN:
        page = spanish(name, person, record, phone=device == "phone")
        where = " ".join(filter(None, (name, person, record)))
        screenshot(page, f"spanish-{device}-{where.replace(':', '-').replace(' ', '-')}", full_page=True)
        if page.locator("html").get_attribute("lang") != "es":
            wrong.append(f"{where} | not in Spanish")
        wrong += [
            f"{where} | {line}" for line in page.evaluate(SAID) if ENGLISH.search(line) and line not in TYPED
        ]
        width = page.evaluate("document.documentElement.scrollWidth")
        wrong += [f"{where} | {width} px wide"] * (device == "phone" and width > PHONE["width"])
    assert wrong == [], "\n".join(dict.fromkeys(wrong))


def test_a_word_of_english_is_found(spanish):
    page = spanish("web:models", "doctor", "", phone=False)
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<p>Nothing of the file was kept.</p>')"
    )
    assert [line for line in page.evaluate(SAID) if ENGLISH.search(line)] == ["Nothing of the file was kept."]
