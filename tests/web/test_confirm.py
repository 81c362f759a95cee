"""Whose images are these? Nothing becomes a study before a person has said so."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.intake.receive import receive_file
from diagnosis.models import AuditEvent, Image, IncomingFile, Patient, Prediction, Study
from diagnosis.web.waiting import file_groups
from tests.factories import IncomingFileFactory, ModelVersionFactory, PatientFactory
from tests.web.conftest import HTMX
from tests.web.files import dicom, png, uploaded
from tests.web.pages import filled_in, html, text

CONFIRM = reverse("web:confirm")
DISCARD = reverse("web:discard")


def wait(user, site, name, content):
    return receive_file(actor=user, site=site, upload=uploaded(name, content)).incoming


@pytest.fixture
def confirm(browser, doctor):
    """Sends one group of the page as it was filled in, with some things changed."""

    def send(group, **changes):
        client = browser(doctor)
        sent = {
            name: values
            for name, values in filled_in(client.get(CONFIRM)).items()
            if name.startswith(f"{group.key}-")
        }
        sent |= {f"{group.key}-priority": ["routine"], f"{group.key}-sex": ["F"], "group": [group.key]}
        sent |= {f"{group.key}-{name}": value for name, value in changes.items()}
        return client.post(CONFIRM, sent)

    return send


def only_group(user):
    [group] = file_groups(user)
    return group


def test_a_dicom_file_of_a_new_patient_is_stored_with_one_click(confirm, doctor, site):
    ModelVersionFactory()
    content = dicom(
        patient_name="Wang^XiaoDong=王^小東", patient_birth_date="19700203", accession_number="A-7"
    )
    wait(doctor, site, "chest.dcm", content)
    response = confirm(only_group(doctor))
    study = Study.objects.get()
    assert (response.status_code, response["Location"]) == (302, reverse("web:study", args=[study.pk]))
    # The ideographic group has no field of its own on the page and is kept all the same.
    assert (study.patient.person_name, study.patient.mrn) == ("Wang^XiaoDong=王^小東", "MRN-1")
    assert study.patient.birth_date == dt.date(1970, 2, 3)
    assert study.accession_number == "A-7"
    assert Prediction.objects.get().status == "queued"
    assert not IncomingFile.objects.exists()


def test_the_page_shows_what_the_file_says(browser, doctor, site):
    content = dicom(patient_birth_date="19700203", accession_number="A-7")
    wait(doctor, site, "chest.dcm", content)
    page = text(browser(doctor).get(CONFIRM))
    for fact in ("Example, Ana", "MRN-1", "3 Feb 1970", "Female", "2 Apr 2020, 10:15", "A-7", "90 by 96"):
        assert fact in page


def test_a_patient_on_record_is_chosen_by_the_record_number(confirm, doctor, site, patient):
    wait(doctor, site, "chest.dcm", dicom())
    assert confirm(only_group(doctor)).status_code == 302
    assert Study.objects.get().patient == patient
    assert Patient.objects.count() == 1


def test_a_difference_is_shown_and_needs_a_person_to_say_so(confirm, browser, doctor, site, patient):
    wait(doctor, site, "chest.dcm", dicom(patient_name="Exempel^Anna"))
    page = text(browser(doctor).get(CONFIRM))
    assert "The file says something else" in page
    assert "Exempel, Anna Example, Ana" in page
    response = confirm(only_group(doctor))
    assert response.status_code == 422
    assert "Compare both, and confirm that they are the same person" in text(response)
    assert not Study.objects.exists()
    assert confirm(only_group(doctor), same_person="on").status_code == 302
    assert Study.objects.get().patient == patient


def test_a_tick_for_one_patient_says_nothing_about_another(confirm, doctor, site, patient):
    other = PatientFactory(site=site, mrn="MRN-2", person_name="Else^Somebody", sex="M")
    wait(doctor, site, "chest.dcm", dicom(patient_name="Exempel^Anna"))
    response = confirm(only_group(doctor), patient=str(other.pk), same_person="on")
    assert response.status_code == 422
    assert "Else, Somebody" in text(response)
    assert not Study.objects.exists()


def test_what_is_typed_over_the_files_own_words_is_a_difference(confirm, doctor, site):
    wait(doctor, site, "chest.dcm", dicom())
    response = confirm(only_group(doctor), family_name="Corrected")
    assert response.status_code == 422
    assert "Example, Ana Corrected, Ana" in text(response)
    assert not Patient.objects.exists()  # Rolled back with the study.


def test_a_taken_record_number_is_said_beside_its_field(confirm, doctor, site, patient):
    wait(doctor, site, "chest.png", png())
    response = confirm(only_group(doctor), choice="new", mrn="MRN-1", family_name="New")
    assert response.status_code == 422
    assert "A patient with this record number exists already" in text(response)
    assert 'value="New"' in html(response)  # What was typed is still there.
    assert not Study.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"choice": "new", "mrn": ""}, "Enter the record number"),
        ({"choice": "new", "mrn": "7", "family_name": "A^B"}, "part the components of a DICOM name"),
        ({"choice": "new", "mrn": "7", "birth_date": "1700-01-01"}, "more than 130 years ago"),
        ({"choice": "new", "mrn": "7", "birth_date": "soon"}, "Enter a valid date"),
        ({"choice": "new", "mrn": "7\x07"}, "Control characters"),
        ({"choice": "existing"}, "search by name or record number and pick one"),
        ({"choice": "existing", "patient": "x"}, "is not a valid UUID"),
        ({"choice": "existing", "patient_query": "nobody"}, "pick one"),
        ({"images": []}, "Tick at least one image"),
        ({"priority": "now"}, "Select a valid choice"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence_and_nothing_is_stored(
    confirm, doctor, site, patient, changes, sentence
):
    wait(doctor, site, "chest.png", png())
    response = confirm(only_group(doctor), **changes)
    assert response.status_code == 422
    assert sentence in text(response)
    assert not Study.objects.exists()
    assert Patient.objects.count() == 1


def test_a_picture_cannot_have_been_taken_in_the_future(confirm, doctor, site, patient):
    wait(doctor, site, "chest.png", png())
    tomorrow = (timezone.now() + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    response = confirm(only_group(doctor), patient=str(patient.pk), performed_at=tomorrow)
    assert response.status_code == 422
    assert "This time lies in the future" in text(response)
    assert not Study.objects.exists()


def test_the_time_of_a_picture_is_read_by_the_clock_of_its_hospital(confirm, doctor, site, patient):
    wait(doctor, site, "chest.png", png())
    confirm(
        only_group(doctor), patient=str(patient.pk), performed_at="2026-07-01T08:00", accession_number="A-9"
    )
    study = Study.objects.get()
    assert study.performed_at == dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)  # Madrid, in summer.
    assert study.accession_number == "A-9"


def test_pictures_make_one_study_and_an_unticked_one_stays(confirm, browser, doctor, site, patient):
    first, second, third = (wait(doctor, site, f"{n}.png", png(n)) for n in (1, 2, 3))
    response = confirm(
        only_group(doctor), patient=str(patient.pk), images=[str(first.pk), str(third.pk)], priority="stat"
    )
    assert response["Location"] == CONFIRM
    assert Study.objects.get().images.count() == 2
    assert Study.objects.get().priority == "stat"
    assert list(IncomingFile.objects.all()) == [second]


def test_a_typed_record_number_is_as_good_as_a_click(confirm, doctor, site, patient):
    wait(doctor, site, "chest.png", png())
    assert confirm(only_group(doctor), patient_query="MRN-1").status_code == 302
    assert Study.objects.get().patient == patient


def test_without_a_script_the_matches_are_offered_to_be_picked(confirm, doctor, site, patient):
    wait(doctor, site, "chest.png", png())
    response = confirm(only_group(doctor), patient_query="exam")
    assert response.status_code == 422
    assert f'value="{patient.pk}"' in html(response)


def test_the_search_offers_patients_of_this_hospital_alone_and_is_on_record(
    browser, doctor, site, patient, other_site
):
    PatientFactory(site=other_site, person_name="Example^Elsewhere")
    wait(doctor, site, "chest.png", png())
    group = only_group(doctor)
    response = browser(doctor).post(
        reverse("web:confirm_patients"),
        {"group": group.key, f"{group.key}-patient_query": "example"},
        headers=HTMX,
    )
    assert "Example, Ana" in text(response)
    assert "Elsewhere" not in text(response)
    event = AuditEvent.objects.get(action="records_searched")
    assert event.details == {"records": "patients", "query": "example"}


def test_several_studies_are_confirmed_one_after_the_other(confirm, browser, doctor, site):
    wait(doctor, site, "a.dcm", dicom(1, patient_id="A"))
    wait(doctor, site, "b.dcm", dicom(2, patient_id="B"))
    first, second = file_groups(doctor)
    assert confirm(first)["Location"] == CONFIRM
    response = confirm(second)
    assert response["Location"] == reverse("web:study", args=[Study.objects.get(patient__mrn="B").pk])


def test_the_page_says_what_was_stored_while_others_wait(browser, confirm, doctor, site):
    wait(doctor, site, "a.dcm", dicom(1, patient_id="A"))
    wait(doctor, site, "b.dcm", dicom(2, patient_id="B"))
    client = browser(doctor)
    group = file_groups(doctor)[0]
    sent = {k: v for k, v in filled_in(client.get(CONFIRM)).items() if k.startswith(f"{group.key}-")}
    client.post(
        CONFIRM, {**sent, f"{group.key}-priority": "routine", f"{group.key}-sex": "F", "group": group.key}
    )
    assert "a.dcm Stored Open its study" in text(client.get(CONFIRM))


def test_files_that_are_confirmed_already_are_answered_with_409(browser, doctor, site):
    response = browser(doctor).post(CONFIRM, {"group": "g123"})
    assert response.status_code == 409
    assert "not waiting any more" in text(response)


def test_what_waits_for_somebody_else_is_not_to_be_confirmed(
    browser, radiologist, confirm, doctor, site, patient
):
    theirs = IncomingFileFactory(site=site, uploaded_by=radiologist)
    wait(doctor, site, "chest.png", png())
    response = confirm(only_group(doctor), patient=str(patient.pk), images=[str(theirs.pk)])
    assert response.status_code == 422
    assert not Image.objects.exists()
    assert IncomingFile.objects.count() == 2


def test_a_patient_of_another_hospital_is_not_to_be_chosen(confirm, doctor, site, other_site):
    stranger = PatientFactory(site=other_site)
    wait(doctor, site, "chest.png", png())
    assert confirm(only_group(doctor), patient=str(stranger.pk)).status_code == 422
    assert not Study.objects.exists()


def test_discarded_files_are_gone_and_the_others_stay(browser, doctor, radiologist, site, stored_files):
    keep, throw = (wait(doctor, site, f"{n}.png", png(n)) for n in (1, 2))
    theirs = IncomingFileFactory(site=site, uploaded_by=radiologist)
    client = browser(doctor)
    response = client.post(DISCARD, {"file": [str(throw.pk), str(theirs.pk), "nonsense"]})
    assert response["Location"] == CONFIRM
    assert set(IncomingFile.objects.all()) == {keep, theirs}
    assert client.post(DISCARD, {"file": str(keep.pk)})["Location"] == reverse("web:home")
    assert AuditEvent.objects.filter(action="file_discarded").count() == 2


def test_a_page_without_waiting_files_says_where_to_go(browser, doctor, admin):
    assert "No image waits for you. Upload chest X-rays" in text(browser(doctor).get(CONFIRM))
    assert "Your role does not upload images" in text(browser(admin).get(CONFIRM))
