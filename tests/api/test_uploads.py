"""Upload in one call: an answer for each file, in the order of the files."""

import datetime as dt

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError

from diagnosis.intake import receive, submit
from diagnosis.intake.receive import receive_file
from diagnosis.models import (
    AuditEvent,
    HeldFile,
    Image,
    IncomingFile,
    OutboxMessage,
    Patient,
    Prediction,
    Study,
)
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.audit import first_broken_event
from diagnosis.services.held import held_file_assign
from ml.phantom import phantom_dicom, phantom_jpeg, phantom_png
from tests.factories import ModelVersionFactory, PatientFactory

UPLOADS = "/api/v1/uploads/"
SMALL = {"rows": 96, "columns": 90}
SAME = {"patient_birth_date": "", "patient_sex": "F"}


def dicom(seed=1, **values):
    return phantom_dicom(
        seed, **SMALL, **{"patient_id": "MRN-1", "patient_name": "Example^Ana", **SAME, **values}
    )


def png(seed=1):
    return phantom_png(seed, **SMALL)


def upload(client, *contents, **data):
    """Files are contents, or (name, content)."""
    named = [content if isinstance(content, tuple) else ("chest.dcm", content) for content in contents]
    files = [SimpleUploadedFile(name, content) for name, content in named]
    return client.post(UPLOADS, {"files": files, **data}, format="multipart")


def results(response):
    return [(result["file"], result["status"], result["code"]) for result in response.json()["results"]]


def nothing_is_left(stored_files):
    return not (
        stored_files()
        or IncomingFile.objects.exists()
        or Image.objects.exists()
        or Study.objects.exists()
        or OutboxMessage.objects.exists()
    )


def test_a_dicom_file_names_its_own_patient_who_is_created(api, site, stored_files):
    ModelVersionFactory()
    content = dicom(patient_birth_date="19600102")
    response = upload(api, content)
    assert response.status_code == 201
    [result] = response.json()["results"]
    image = Image.objects.get()
    patient = Patient.objects.get()
    assert result == {
        "file": "chest.dcm",
        "status": "stored",
        "code": "",
        "reason": "",
        "image": str(image.pk),
        "study": str(image.study_id),
        "patient": str(patient.pk),
        "held": None,
    }
    assert (patient.mrn, patient.person_name, patient.sex) == ("MRN-1", "Example^Ana", "F")
    assert (patient.birth_date, patient.site) == (dt.date(1960, 1, 2), site)
    assert default_storage.open(image.file.name).read() == content
    assert Prediction.objects.get().image == image
    assert OutboxMessage.objects.count() == 1
    assert not IncomingFile.objects.exists()
    assert len(stored_files()) == 3


def test_a_dicom_file_of_a_known_record_number_goes_to_that_patient(api, patient):
    upload(api, dicom())
    assert Study.objects.get().patient == patient
    assert Patient.objects.count() == 1


def test_pictures_of_one_call_make_one_study_of_the_named_patient(api, patient):
    response = upload(
        api,
        ("pa.png", png(1)),
        ("lateral.jpg", phantom_jpeg(2, **SMALL)),
        patient=str(patient.pk),
        performed_at="2026-01-02T09:30:00+01:00",
        study_description="Chest PA and lateral",
        accession_number="ACC-9",
        priority="urgent",
    )
    assert results(response) == [("pa.png", "stored", ""), ("lateral.jpg", "stored", "")]
    study = Study.objects.get()
    assert study.images.count() == 2
    assert (study.accession_number, study.study_description, study.priority) == (
        "ACC-9",
        "Chest PA and lateral",
        "urgent",
    )
    assert study.performed_at == dt.datetime(2026, 1, 2, 8, 30, tzinfo=dt.UTC)


def test_a_new_patient_is_created_from_what_the_request_says(api):
    response = upload(
        api,
        ("a.png", png()),
        mrn="N-7",
        family_name="García",
        given_name="María José",
        birth_date="1980-05-06",
        sex="F",
    )
    assert response.status_code == 201
    patient = Patient.objects.get()
    assert (patient.mrn, patient.person_name, patient.sex) == ("N-7", "García^María José", "F")
    assert patient.birth_date == dt.date(1980, 5, 6)


def test_a_record_number_alone_finds_the_patient(api, patient):
    assert upload(api, ("a.png", png()), mrn="MRN-1").status_code == 201
    assert Study.objects.get().patient == patient


def test_the_same_record_number_with_another_name_stores_nothing_until_a_person_accepts_it(
    api, patient, stored_files
):
    data = {"mrn": "MRN-1", "person_name": "Other^Olga", "sex": "M"}
    response = upload(api, ("a.png", png()), **data)
    assert response.status_code == 400
    assert response.json()["code"] == "patient_differs"
    assert "another name and sex" in response.json()["detail"]
    assert nothing_is_left(stored_files)
    assert upload(api, ("a.png", png()), **data, accept_differences="true").status_code == 201
    patient.refresh_from_db()
    assert patient.person_name == "Example^Ana"


def test_a_file_that_names_somebody_else_is_held_and_the_others_are_stored(
    api, patient, stored_files, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(
            api,
            ("hers.dcm", dicom(1)),
            ("not hers.dcm", dicom(2, patient_name="Other^Olga")),
            patient=str(patient.pk),
        )
    assert response.status_code == 201
    assert results(response) == [("hers.dcm", "stored", ""), ("not hers.dcm", "held", "patient_differs")]
    assert not IncomingFile.objects.exists()
    image, held = Image.objects.get(), HeldFile.objects.get()
    assert stored_files() == sorted([*image.stored_names, *held.stored_names])


CONTRADICTIONS = {
    "a name": (dicom(2, patient_name="Other^Olga"), {}, "patient_differs"),
    "a birth date": (dicom(2, patient_birth_date="19010203"), {}, "patient_differs"),
    "another number than the sender names": (
        dicom(2, patient_id="MRN-9"),
        {"mrn": "MRN-1"},
        "patient_differs",
    ),
    "a study of somebody else": (
        dicom(2, patient_id="MRN-2", patient_name="Other^Olga", study_instance_uid="1.2.5"),
        {},
        "study_of_other_patient",
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_contradicts_the_record_is_held_for_a_person_and_never_merged(
    api, patient, what, django_capture_on_commit_callbacks
):
    Patient.objects.filter(pk=patient.pk).update(birth_date="1960-01-02")
    assert upload(api, dicom(1, study_instance_uid="1.2.5")).status_code == 201
    content, said, code = CONTRADICTIONS[what]
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, content, **said)
    held = HeldFile.objects.get()
    [result] = response.json()["results"]
    assert response.status_code == 202
    assert (result["status"], result["code"], result["held"]) == ("held", code, str(held.pk))
    assert "administrator" in result["reason"]
    assert (held.patient, held.road, held.file.read()) == (patient, "api", content)
    assert not IncomingFile.objects.exists()
    assert Image.objects.count() == Patient.objects.count() == 1
    patient.refresh_from_db()
    assert patient.person_name == "Example^Ana"
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", flat=True))
    assert actions[-2:] == ["file_received", "file_held"]


def test_a_held_file_that_is_sent_again_stays_one_held_file(api, patient):
    answers = [upload(api, dicom(2, patient_name="Other^Olga")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert HeldFile.objects.count() == 1


def test_of_two_who_send_the_same_contradiction_at_the_same_moment_both_are_told_of_one_held_file(
    api, patient, monkeypatch, stored_files, django_capture_on_commit_callbacks
):
    content = dicom(2, patient_name="Other^Olga")
    first = upload(api, content).json()["results"][0]["held"]
    monkeypatch.setattr(receive, "held_already", lambda **_: None)  # As it is seen before the other commits.
    before = stored_files()
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, content)
    assert (response.status_code, response.json()["results"][0]["held"]) == (202, first)
    assert stored_files() == before
    assert not IncomingFile.objects.exists()


def test_a_sender_who_contradicts_the_file_about_somebody_new_is_told_so_and_nothing_is_kept(
    api, stored_files, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, dicom(patient_id="MRN-1"), mrn="N-7", person_name="New^Nora")
    assert results(response) == [("chest.dcm", "refused", "patient_differs")]
    assert nothing_is_left(stored_files)
    assert not Patient.objects.exists()


def test_a_person_who_has_compared_stores_it_at_once(api, patient):
    response = upload(api, dicom(2, patient_name="Other^Olga"), accept_differences="true")
    assert results(response) == [("chest.dcm", "stored", "")]
    assert not HeldFile.objects.exists()


def test_what_waits_on_the_page_goes_on_waiting_where_the_person_sees_both(api, doctor, site, patient):
    content = dicom(2, patient_name="Other^Olga")
    waiting = receive_file(actor=doctor, site=site, upload=SimpleUploadedFile("w.dcm", content)).incoming
    assert results(upload(api, ("w.dcm", content))) == [("w.dcm", "refused", "patient_differs")]
    assert IncomingFile.objects.get() == waiting
    assert not HeldFile.objects.exists()


def test_of_a_refused_file_nothing_stays_on_the_disk(
    api, patient, stored_files, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, ("a.png", png(2)))
    assert response.status_code == 422
    assert nothing_is_left(stored_files)
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", flat=True))
    assert actions[-3:] == ["file_received", "file_discarded", "file_refused"]


def test_a_picture_whose_patient_nobody_names_is_refused(
    api, stored_files, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, ("a.png", png()))
    assert response.status_code == 422
    [result] = response.json()["results"]
    assert result["code"] == "patient_not_named"
    assert "does not say whose image it is" in result["reason"]
    assert nothing_is_left(stored_files)
    assert not Patient.objects.exists()


@pytest.mark.parametrize("name", ["patient", "mrn"])
def test_a_dicom_file_without_a_record_number_is_stored_with_the_patient_whom_its_sender_names(
    api, patient, name
):
    content = dicom(patient_id="", patient_name="")
    named = {"patient": str(patient.pk), "mrn": patient.mrn}[name]
    assert results(upload(api, content, **{name: named})) == [("chest.dcm", "stored", "")]
    assert Image.objects.get().study.patient == patient


def test_a_dicom_file_of_which_nobody_says_whose_it_is_is_held_and_attached_by_hand(
    api, patient, admin, stored_files
):
    content = dicom(patient_id="", patient_name="")
    response = upload(api, content)
    assert response.status_code == 202
    assert results(response) == [("chest.dcm", "held", "patient_not_named")]
    held = HeldFile.objects.get()
    assert stored_files() == sorted(held.stored_names)
    assert not Image.objects.exists()
    held_file_assign(actor=admin, held=held, mrn=patient.mrn)
    assert Image.objects.get().study.patient == patient


def test_a_header_with_a_birth_date_in_the_future_makes_no_patient(api):
    response = upload(api, dicom(patient_birth_date="29990101"))
    assert results(response) == [("chest.dcm", "held", "patient_invalid")]
    assert "a birth date in the future" in response.json()["results"][0]["reason"]
    assert not Patient.objects.exists()


def test_a_file_that_is_there_already_is_answered_with_the_stored_image(api, patient, stored_files):
    [first] = upload(api, dicom()).json()["results"]
    before = stored_files()
    response = upload(api, ("renamed.dcm", dicom()))
    assert response.status_code == 200
    [second] = response.json()["results"]
    assert (second["status"], second["image"], second["study"]) == (
        "duplicate",
        first["image"],
        first["study"],
    )
    assert "stored already" in second["reason"]
    assert stored_files() == before


@pytest.mark.parametrize("content", [dicom(), png()], ids=["dicom", "png"])
def test_a_file_sent_twice_in_one_call_is_stored_once(
    api, patient, stored_files, content, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, ("one", content), ("two", content), patient=str(patient.pk))
    assert results(response) == [("one", "stored", ""), ("two", "duplicate", "")]
    assert Image.objects.count() == 1
    assert len(stored_files()) == 3


def test_one_bad_file_never_stops_the_others(api, patient):
    response = upload(
        api,
        ("empty.dcm", b""),
        ("good.dcm", dicom()),
        ("text.dcm", b"this is no image"),
        ("good.png", png()),
        patient=str(patient.pk),
    )
    assert response.status_code == 201
    assert results(response) == [
        ("empty.dcm", "refused", "empty_file"),
        ("good.dcm", "stored", ""),
        ("text.dcm", "refused", "unknown_kind"),
        ("good.png", "stored", ""),
    ]
    assert first_broken_event() is None


def test_a_file_that_waits_on_the_page_is_stored_and_a_refused_one_goes_on_waiting_there(
    api, doctor, site, patient
):
    waiting = receive_file(actor=doctor, site=site, upload=SimpleUploadedFile("w.png", png())).incoming
    assert results(upload(api, ("w.png", png()))) == [("w.png", "refused", "patient_not_named")]
    assert IncomingFile.objects.get() == waiting
    assert results(upload(api, ("w.png", png()), mrn="MRN-1")) == [("w.png", "stored", "")]
    assert not IncomingFile.objects.exists()


def test_a_patient_study_or_image_that_appears_at_the_same_moment_is_found_at_the_second_try(
    api, patient, monkeypatch
):
    real = submit.study_submit
    tries = []

    def raced(**arguments):
        tries.append(1)
        if len(tries) == 1:
            real(**arguments)  # Rolled back with its deletions, as the loser of a race is.
            raise IntegrityError
        return real(**arguments)

    monkeypatch.setattr(submit, "study_submit", raced)
    assert results(upload(api, dicom())) == [("chest.dcm", "stored", "")]
    assert len(tries) == 2
    assert Image.objects.count() == 1


def test_a_fault_on_our_side_keeps_nothing_and_gives_a_number(
    api, patient, monkeypatch, stored_files, django_capture_on_commit_callbacks, caplog
):
    def broken(**_):
        raise RuntimeError("the patient is Example^Ana")

    monkeypatch.setattr(submit, "study_submit", broken)
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(api, dicom())
    assert response.status_code == 503
    [result] = response.json()["results"]
    assert (result["status"], result["code"]) == ("refused", "technical_error")
    assert "error number" in result["reason"]
    assert "Example" not in result["reason"]
    assert nothing_is_left(stored_files)


def test_a_full_disk_leaves_no_row_and_no_file(api, patient, monkeypatch, stored_files):
    real = default_storage.save
    saved = []

    def save(name, content):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(name)
        return real(name, content)

    monkeypatch.setattr(default_storage, "save", save)
    response = upload(api, dicom())
    assert response.status_code == 507
    assert results(response) == [("chest.dcm", "refused", "no_room")]
    assert len(saved) == 1
    assert nothing_is_left(stored_files)


def test_where_one_may_upload_at_several_sites_the_site_must_be_named(api, doctor, site, other_site):
    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    response = upload(api, dicom())
    assert response.status_code == 400
    assert "several sites" in response.json()["errors"]["site"][0]
    assert upload(api, dicom(), site=other_site.pk).status_code == 201
    assert Study.objects.get().site == other_site


def test_a_site_where_one_only_looks_is_not_counted(api, doctor, site, other_site):
    membership_set(actor=system_user(), user=doctor, site=other_site, role="admin")
    assert upload(api, dicom()).status_code == 201
    assert Study.objects.get().site == site
    assert upload(api, dicom(2), site=other_site.pk).status_code == 403


def test_another_hospitals_patient_or_site_is_answered_like_one_that_does_not_exist(
    api, site, other_site, stored_files
):
    theirs = PatientFactory(site=other_site)
    for field, value, unknown in [
        ("patient", str(theirs.pk), "00000000-0000-4000-8000-000000000000"),
        ("site", other_site.pk, 999_999),
    ]:
        answers = [upload(api, dicom(), **{field: v}) for v in (value, unknown)]
        assert [a.status_code for a in answers] == [400, 400]
        assert answers[0].json() == answers[1].json()
    assert nothing_is_left(stored_files)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"mrn": "N-1", "patient": "existing"}, "patient"),
        ({"family_name": "Only"}, "mrn"),
        ({"mrn": "N-1", "family_name": "A^B"}, "family_name"),
        ({"mrn": "N-1", "person_name": "A", "family_name": "B"}, "person_name"),
        ({"mrn": "N-1", "birth_date": "2999-01-01"}, "birth_date"),
        ({"mrn": "N-1", "birth_date": "yesterday"}, "birth_date"),
        ({"mrn": "N-1", "sex": "X"}, "sex"),
        ({"mrn": "N\n1"}, "mrn"),
        ({"performed_at": "2026-01-02T09:30:00"}, "performed_at"),
        ({"priority": "at once"}, "priority"),
        ({"study_description": "x" * 201}, "study_description"),
        ({"patient": "not-an-id"}, "patient"),
        ({"status": "read"}, "status"),
        ({"submitted_by": "1"}, "submitted_by"),
    ],
)
def test_a_field_that_is_not_right_stores_nothing_and_is_named(api, patient, stored_files, data, field):
    data = {key: str(patient.pk) if value == "existing" else value for key, value in data.items()}
    response = upload(api, ("a.png", png()), **data)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert nothing_is_left(stored_files)


def test_a_request_without_files_is_told_so(api):
    response = api.post(UPLOADS, {"mrn": "N-1"}, format="multipart")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["files"]


def test_more_than_twenty_files_are_refused_before_one_is_stored(api, patient, stored_files):
    response = upload(api, *[(f"{n}.png", b"x") for n in range(21)], mrn="MRN-1")
    assert response.status_code == 400
    assert nothing_is_left(stored_files)


def test_json_is_no_upload(api):
    assert api.post(UPLOADS, {"files": []}, format="json").status_code == 415


def test_another_picture_under_a_known_uid_is_held_and_answered_with_202(api):
    upload(api, dicom(1, sop_instance_uid="1.2.3.9"))
    response = upload(api, dicom(2, sop_instance_uid="1.2.3.9"))
    [result] = response.json()["results"]
    assert (response.status_code, result["status"], result["code"]) == (202, "held", "other_pixels")
    assert result["image"] == str(Image.objects.get().pk)


def test_a_ct_is_stored_and_says_that_it_is_not_analysed(api):
    content = dicom(elements={"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"})
    ModelVersionFactory()
    response = upload(api, content)
    [result] = response.json()["results"]
    assert (response.status_code, result["status"], result["code"]) == (201, "stored", "wrong_modality")
    assert "no plain X-ray" in result["reason"]
    assert not Prediction.objects.exists()
