"""A hospital's administrator sets up its reports: words, address, logo."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image as Picture

from diagnosis.models import AuditEvent, ReportLetterhead, ReportText
from diagnosis.services.report_settings import LOGO_MAX_BYTES
from tests.admin.conftest import list_of, page_of
from tests.factories import ReportTextFactory

ADD_TEXT = "admin:diagnosis_reporttext_add"
ADD_LETTERHEAD = "admin:diagnosis_reportletterhead_add"


def picture(size=(60, 30), kind="PNG") -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", size, "navy").save(file, kind)
    return file.getvalue()


def logo(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("logo.png", content)


def text(site, **changes):
    return {"site": site.pk, "name": "Normal chest", "code": "normal", "block": "Clear.", **changes}


def test_an_administrator_adds_changes_and_deletes_a_text_and_each_is_on_record(visit, admin, site):
    browser = visit(admin)
    assert browser.post(reverse(ADD_TEXT), text(site)).status_code == 302
    kept = ReportText.objects.get()
    browser.post(page_of("reporttext", kept), text(site, block="The lungs are clear."))
    kept.refresh_from_db()
    assert kept.block == "The lungs are clear."
    browser.post(reverse("admin:diagnosis_reporttext_delete", args=[kept.pk]), {"post": "yes"})
    assert not ReportText.objects.exists()
    events = AuditEvent.objects.filter(action="report_set_up", actor=admin, site=site)
    assert events.count() == 3
    assert events.first().details["deleted"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": "Normal!"}, "Write the code with small letters"),
        ({"block": "Aged {years}."}, "There is no {years}."),
        ({"block": ""}, "Fill in one or more sections, or the block"),
        ({"findings": "Clear."}, "Fill in one or more sections, or the block"),
    ],
    ids=["code", "placeholder", "neither", "both"],
)
def test_a_text_that_could_not_be_used_is_refused_with_the_reason(visit, admin, site, changes, sentence):
    page = visit(admin).post(reverse(ADD_TEXT), text(site, **changes))
    assert page.status_code == 200
    assert sentence in page.content.decode().replace("&#x27;", "'")
    assert not ReportText.objects.exists()


def test_a_code_is_one_text_at_a_hospital(visit, admin, site, other_site):
    ReportTextFactory(site=other_site)
    assert visit(admin).post(reverse(ADD_TEXT), text(site)).status_code == 302
    page = visit(admin).post(reverse(ADD_TEXT), text(site, name="Again"))
    assert "already" in page.content.decode()


def test_the_texts_of_another_hospital_are_neither_seen_nor_changed(visit, admin, site, other_site):
    foreign = ReportTextFactory(site=other_site, name="Theirs")
    browser = visit(admin)
    assert "Theirs" not in browser.get(list_of("reporttext")).content.decode()
    assert browser.get(page_of("reporttext", foreign)).status_code == 302
    page = browser.post(reverse(ADD_TEXT), text(other_site, code="other"))
    assert page.status_code == 200
    assert ReportText.objects.count() == 1


@pytest.mark.parametrize("person", ["doctor", "radiologist"])
def test_who_does_not_administer_the_hospital_sets_up_nothing(visit, request, site, person):
    browser = visit(request.getfixturevalue(person))
    for address in (ADD_TEXT, ADD_LETTERHEAD):
        assert browser.get(reverse(address)).status_code in (302, 403)


def test_a_logo_is_drawn_anew_and_can_be_taken_away(visit, admin, site):
    browser = visit(admin)
    sent = {"site": site.pk, "address": "Calle Mayor 1\nMadrid"}
    noisy = picture(kind="JPEG") + b"<script>trailing</script>"
    assert browser.post(reverse(ADD_LETTERHEAD), {**sent, "logo": logo(noisy)}).status_code == 302
    kept = ReportLetterhead.objects.get()
    assert bytes(kept.logo_png).startswith(b"\x89PNG")
    assert b"script" not in bytes(kept.logo_png)
    browser.post(page_of("reportletterhead", kept), {"address": "Calle Mayor 2"})
    kept.refresh_from_db()
    assert (kept.address, kept.logo_png is None) == ("Calle Mayor 2", False)
    browser.post(page_of("reportletterhead", kept), {"address": "Calle Mayor 2", "remove_logo": "on"})
    kept.refresh_from_db()
    assert kept.logo_png is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg onload='x'/>", "not a PNG or JPEG"),
        (picture(kind="GIF"), "not a PNG or JPEG"),
        (picture()[:60], "not a PNG or JPEG"),
        (picture((2500, 2000)), "too large"),
        (b"\x89PNG" + b"x" * LOGO_MAX_BYTES, "too large"),
    ],
    ids=["svg", "gif", "torn", "pixels", "bytes"],
)
def test_what_is_no_logo_is_refused(visit, admin, site, content, sentence):
    page = visit(admin).post(reverse(ADD_LETTERHEAD), {"site": site.pk, "logo": logo(content)})
    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert not ReportLetterhead.objects.exists()
