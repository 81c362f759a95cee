"""Two browsers sign the same case in the same moment, each in a process of its own of a real portal."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.test_worklist import SECOND_RADIOLOGIST

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]

# With an image that the network is not asked about: what it says is no part of this.
STUDY = """
import uuid
from diagnosis.models import Image, Study
image = Image.objects.filter(study__patient__mrn__startswith="DEMO-").first()
study = Study.objects.create(
    site=image.site, patient=image.study.patient, study_instance_uid=f"2.25.{uuid.uuid4().int}", status="to_read",
    submitted_by=image.uploaded_by,
)
image.pk, image._state.adding, image.study = uuid.uuid4(), True, study
image.sha256, image.sop_instance_uid, image.not_analysed_code = uuid.uuid4().hex * 2, "", "lateral"
image.save(force_insert=True)
print(study.pk)
"""
# As when a claim has run out while its holder was reading.
NO_CLAIMS = "from diagnosis.models import Claim; Claim.objects.all().delete()"
READS = "from diagnosis.models import Review; print(*Review.objects.filter(study={!r}).values_list('reader__username'))"


def test_one_of_two_wins_and_the_other_is_told_and_keeps_what_was_typed(portal, log_in, screenshot):
    def shell(command: str) -> str:
        return portal.manage("shell", "--no-imports", "--command", command).strip()

    shell(SECOND_RADIOLOGIST)
    study = shell(STUDY)
    people = {"radiologist": "Rafael Reader", "sara": "Sara Second"}
    pages = {name: log_in(name) for name in people}
    statuses: list[int] = []
    for name, page in pages.items():
        page.goto(f"{portal.url}/studies/{study}/")
        own = page.locator("#own-reading")
        own.get_by_label("Normal", exact=True).check()
        own.get_by_role("textbox", name="Note").fill(f"Typed by {name}.")
        page.on(
            "response",
            lambda answer: statuses.append(answer.status) if answer.url.endswith("/review/") else None,
        )
    shell(NO_CLAIMS)
    for page in pages.values():
        # No waiting for the answer: the second click follows while the first request is on its way.
        page.evaluate(
            "setTimeout(() => document.querySelector('#own-reading form button[type=submit]').click(), 50)"
        )
    for page in pages.values():
        answered = re.compile("Signed by|signed this study first")
        expect(page.locator("#decision")).to_contain_text(answered, timeout=20_000)
    assert sorted(statuses) == [200, 409]
    (winner,) = (name for name in people if f"'{name}'" in shell(READS.format(study)))
    (loser,) = set(people) - {winner}
    decision = pages[loser].locator("#decision")
    expect(decision).to_contain_text(f"{people[winner]} signed this study first")
    expect(decision.locator("#kept-note-text")).to_have_value(
        f"Your reading: Normal\nNote: Typed by {loser}."
    )
    # The read contradicts the PCR, so the loser may read second, and the page hides the decision: not what was typed.
    with pages[loser].expect_response(lambda answer: "/live/" in answer.url):
        pages[loser].evaluate("document.body.dispatchEvent(new Event('study-changed'))")
    expect(pages[loser].locator(".htmx-request")).to_have_count(0)
    expect(decision.locator("#kept-note-text")).to_be_visible()
    screenshot(pages[loser], "read-race-loser")
