"""Held files in the admin: both sides on one page, one decision, by an administrator of the site."""

import pytest
from django.urls import reverse

from diagnosis.intake.unattended import Road, receive_unattended
from diagnosis.models import AuditEvent, HeldFile, Image, Site
from tests.admin.conftest import list_of, page_of
from tests.factories import HeldFileFactory, PatientFactory
from tests.web.files import dicom
from tests.web.pages import text


def receive(actor, site, content):
    return receive_unattended(actor=actor, site=site, content=content, name="x.dcm", road=Road.C_STORE)


@pytest.fixture
def ana(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", birth_date=None, sex="F")


@pytest.fixture
def held(ana, doctor, site):
    """Ana has an image; Olga's comes under the same number."""
    receive(doctor, site, dicom(1))
    return receive(doctor, site, dicom(2, patient_name="Other^Olga")).held


@pytest.fixture
def other_pixels(ana, doctor, site):
    receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9"))
    return receive(doctor, site, dicom(2, sop_instance_uid="1.2.3.9")).held


def address(held, name):
    return reverse(f"admin:diagnosis_heldfile_{name}", args=[held.pk])


def decide(browser, held, decision, **more):
    return browser.post(address(held, "decide"), {"decision": decision, **more}, follow=True)


def test_both_patients_and_both_pictures_stand_side_by_side(visit, admin, held):
    browser = visit(admin)
    page = browser.get(page_of("heldfile", held)).content.decode()
    for words in (
        "Other^Olga",
        "Example^Ana",
        "They differ in: <strong>name</strong>",
        "It is the same person",
    ):
        assert words in page
    ours, stored = (browser.get(address(held, name)) for name in ("picture", "stored_picture"))
    assert (ours.status_code, stored.status_code) == (200, 200)
    assert ours.getvalue() == held.preview.read()
    assert stored.getvalue() == Image.objects.get().preview.read()


def test_opening_it_is_on_record(visit, admin, held, ana):
    visit(admin).get(page_of("heldfile", held))
    event = AuditEvent.objects.get(action="held_file_viewed")
    assert (event.actor, event.patient, event.object_id) == (admin, ana, str(held.pk))


def test_the_same_person_is_one_click(visit, admin, held, ana):
    page = decide(visit(admin), held, "attach").content.decode()
    assert "Your decision was carried out." in page
    assert "It is the same person" not in page
    assert Image.objects.filter(study__patient=ana).count() == 2


def test_another_patient_is_named_by_the_record_number(visit, admin, held):
    decide(visit(admin), held, "assign", mrn="MRN-2")
    assert Image.objects.get(study__patient__mrn="MRN-2").study.patient.person_name == "Other^Olga"


def test_discarded_it_is_gone_from_the_list(visit, admin, held):
    browser = visit(admin)
    decide(browser, held, "discard")
    assert held not in browser.get(list_of("heldfile")).context["cl"].queryset
    assert held in browser.get(list_of("heldfile"), {"decision": "made"}).context["cl"].queryset
    assert browser.get(address(held, "picture")).status_code == 404
    assert browser.get(address(held, "original")).status_code == 404


def test_the_second_decision_is_refused_with_a_sentence(visit, admin, held):
    browser = visit(admin)
    decide(browser, held, "attach")
    assert "decided about this file before" in decide(browser, held, "discard").content.decode()
    assert Image.objects.count() == 2


@pytest.mark.parametrize("sent", [{}, {"decision": "burn"}, {"decision": "assign", "mrn": "x" * 65}])
def test_a_decision_that_is_none_changes_nothing(visit, admin, held, sent):
    visit(admin).post(address(held, "decide"), sent)
    held.refresh_from_db()
    assert held.is_open


def test_another_picture_under_a_known_uid_is_kept_out_or_stored_under_one_of_its_own(
    visit, admin, other_pixels
):
    browser = visit(admin)
    page = browser.get(page_of("heldfile", other_pixels)).content.decode()
    assert "the stored one stays as it is" in page
    assert "It is another picture of the same person: store the copy with" in page
    assert "Discard it: the stored image stays" in page
    assert page.count("<img ") == 2
    decide(browser, other_pixels, "attach")
    assert Image.objects.filter(sop_instance_uid="1.2.3.9").count() == 1
    assert Image.objects.count() == 2


def test_the_same_picture_under_another_name_can_only_be_discarded(visit, admin, ana, doctor, site):
    receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9"))
    held = receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9", patient_name="Other^Olga")).held
    page = visit(admin).get(page_of("heldfile", held)).content.decode()
    assert "Discard it: the stored image stays" in page
    assert "Store it with" not in page
    assert "store the copy" not in page


def test_the_original_is_downloaded_as_it_came_and_never_shown_as_a_page(visit, admin, held):
    response = visit(admin).get(address(held, "original"))
    assert response.getvalue() == dicom(2, patient_name="Other^Olga")
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("person", ["doctor", "radiologist", "outsider"])
def test_others_neither_see_nor_decide(visit, request, held, person):
    browser = visit(request.getfixturevalue(person))
    for name in ("picture", "stored_picture", "original", "change"):
        assert browser.get(address(held, name)).status_code in (302, 403, 404)
    assert browser.post(address(held, "decide"), {"decision": "attach"}).status_code in (302, 403, 404)
    assert HeldFile.objects.get().is_open


def test_a_superuser_without_a_role_looks_and_does_not_decide(visit, superuser, held):
    browser = visit(superuser)
    page = browser.get(page_of("heldfile", held)).content.decode()
    assert "Other^Olga" in page
    assert "It is the same person" not in page
    assert browser.post(address(held, "decide"), {"decision": "attach"}).status_code == 403
    assert HeldFile.objects.get().is_open


def test_a_decision_is_never_made_by_a_link(visit, admin, held):
    assert visit(admin).get(address(held, "decide"), {"decision": "attach"}).status_code == 405


def test_a_name_is_text_on_the_page(visit, admin, ana, doctor, site):
    held = receive(doctor, site, dicom(patient_name="<script>alert(1)</script>")).held
    page = visit(admin).get(page_of("heldfile", held)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_an_administrator_is_told_what_of_a_held_file_is_de_identified(visit, admin, site):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    patient = PatientFactory(site=site)
    copy = HeldFileFactory(patient=patient, stored_sha256="0" * 64)
    unread = HeldFileFactory(patient=patient, reason_code="killed_decoder")
    before = HeldFileFactory(patient=patient)
    for held, sentence in (
        (copy, "The file that is held is a de-identified copy."),
        (unread, "It could not be read, so no copy could be made."),
        (before, "It came before that was switched on."),
    ):
        assert sentence in text(visit(admin).get(page_of("heldfile", held)))
