"""What is stored, what is known, what is held, what the network is asked about: one set of rules for every road."""

import datetime as dt
import struct
from io import BytesIO

import pydicom
import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from diagnosis.intake import unattended
from diagnosis.intake.analysable import OTHER_BODY_PARTS, why_not_analysed
from diagnosis.intake.receive import receive_file
from diagnosis.models import (
    AuditEvent,
    HeldFile,
    Image,
    IncomingFile,
    NotAnalysed,
    Patient,
    Prediction,
    Study,
)
from diagnosis.services.patients import PatientIdentity
from diagnosis.services.studies import FileOutcome
from ml.phantom import to_file
from tests.factories import ModelVersionFactory, PatientFactory
from tests.web.files import dicom, png

STUDY = "1.2.826.0.1.3680043.10.1"


@pytest.fixture
def model(db):
    return ModelVersionFactory()


def changed(content: bytes, **elements) -> bytes:
    """The same file with other elements; None takes one out."""
    ds = pydicom.dcmread(BytesIO(content))
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    return to_file(ds, ds.file_meta.TransferSyntaxUID)


def ct(**elements) -> bytes:
    said = {"SOPClassUID": uid.CTImageStorage, "Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    return dicom(sop_instance_uid="1.2.3.100", study_instance_uid=STUDY, elements={**said, **elements})


def structured_report() -> bytes:
    ds = pydicom.dcmread(BytesIO(dicom(sop_instance_uid="1.2.3.200", study_instance_uid=STUDY)))
    for keyword in (
        "Rows",
        "Columns",
        "PixelData",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    ):
        del ds[keyword]
    del ds.PhotometricInterpretation, ds.SamplesPerPixel
    ds.SOPClassUID, ds.Modality = uid.EnhancedSRStorage, "SR"
    ds.ValueType, ds.ContentSequence = "CONTAINER", Sequence([Dataset()])
    return to_file(ds, uid.ExplicitVRLittleEndian)


def several_frames() -> bytes:
    content = dicom(sop_instance_uid="1.2.3.300", study_instance_uid=STUDY)
    ds = pydicom.dcmread(BytesIO(content))
    ds.NumberOfFrames, ds.PixelData = 3, ds.PixelData * 3
    return to_file(ds, uid.ExplicitVRLittleEndian)


def view_code(value: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "a view"
    return [item]


KINDS = {
    "a CT": (ct(), NotAnalysed.WRONG_MODALITY, True),
    "an MR": (ct(SOPClassUID=uid.MRImageStorage, Modality="MR"), NotAnalysed.WRONG_MODALITY, True),
    "an ultrasound": (
        ct(SOPClassUID=uid.UltrasoundImageStorage, Modality="US"),
        NotAnalysed.WRONG_MODALITY,
        True,
    ),
    "a CT that calls itself CR": (ct(Modality="CR"), NotAnalysed.WRONG_MODALITY, True),
    "a mammogram": (
        ct(SOPClassUID=uid.DigitalMammographyXRayImageStorageForPresentation, Modality="MG"),
        NotAnalysed.WRONG_MODALITY,
        True,
    ),
    "a structured report": (structured_report(), NotAnalysed.STRUCTURED_REPORT, False),
    "several frames": (several_frames(), NotAnalysed.SEVERAL_FRAMES, True),
    "a lateral view": (dicom(study_instance_uid=STUDY, view_position="LL"), NotAnalysed.LATERAL, True),
    "a lateral view in codes": (
        dicom(
            study_instance_uid=STUDY, view_position="", elements={"ViewCodeSequence": view_code("399173006")}
        ),
        NotAnalysed.LATERAL,
        True,
    ),
    "an oblique view": (dicom(study_instance_uid=STUDY, view_position="RLO"), NotAnalysed.OTHER_VIEW, True),
    "a hand": (
        dicom(study_instance_uid=STUDY, elements={"BodyPartExamined": "HAND"}),
        NotAnalysed.OTHER_BODY_PART,
        True,
    ),
    "raw data": (
        dicom(
            study_instance_uid=STUDY,
            elements={
                "SOPClassUID": uid.DigitalXRayImageStorageForProcessing,
                "Modality": "DX",
                "PresentationIntentType": "FOR PROCESSING",
            },
        ),
        NotAnalysed.FOR_PROCESSING,
        False,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_frontal_chest_is_kept_with_the_study_and_not_analysed(receive, model, kind):
    content, code, is_shown = KINDS[kind]
    receipt = receive(content)
    assert receipt.outcome is FileOutcome.STORED, receipt.reason
    image = receipt.image
    assert image.study.study_instance_uid == STUDY
    assert (image.not_analysed_code, image.is_shown) == (code, is_shown)
    assert receipt.reason == image.not_analysed_reason
    assert default_storage.open(image.file.name).read() == content
    assert not Prediction.objects.exists()
    image.study.refresh_from_db()
    assert image.study.status == "to_read"


def test_the_frontal_image_of_the_same_study_is_analysed(receive, model):
    receive(KINDS["a CT"][0])
    frontal = receive(dicom(2, study_instance_uid=STUDY, patient_birth_date="19700101")).image
    assert frontal.is_analysed
    assert Prediction.objects.get().image == frontal
    assert frontal.study.images.count() == 2


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"BodyPartExamined": "THORAX"},
        {"BodyPartExamined": "CHEST_ABDOMEN"},
        {"BodyPartExamined": "TORAX AP"},
        {"BodyPartExamined": None},
        {"ViewPosition": "AP"},
        {"ViewPosition": None},
        {"Modality": "DX", "SOPClassUID": uid.DigitalXRayImageStorageForPresentation},
        {"Modality": "OT", "SOPClassUID": uid.SecondaryCaptureImageStorage},
        {"NumberOfFrames": 1},
    ],
    ids=str,
)
def test_what_may_be_a_frontal_chest_is_analysed(receive, model, elements):
    assert receive(dicom(elements=elements)).image.is_analysed
    assert Prediction.objects.count() == 1


def test_every_other_body_part_and_no_word_for_the_chest_is_another_body_part():
    assert all(why_not_analysed({"body_part_examined": part}) for part in OTHER_BODY_PARTS)
    for chest in ("CHEST", "THORAX", "LUNG", "LUNGS", "RIBS", "HEART", "CHESTABDOMEN", "CHESTABDPELVIS", ""):
        assert why_not_analysed({"body_part_examined": chest}) is None


@pytest.mark.parametrize("damage", ["cut", "no pixels", "fewer frames than it says"])
def test_a_damaged_object_is_refused_whatever_its_kind(receive, damage):
    content = {
        "cut": ct()[:-2000],
        "no pixels": dicom(elements={"PixelData": None}),
        "fewer frames than it says": changed(several_frames(), NumberOfFrames=10**9),
    }[damage]
    receipt = receive(content)
    assert receipt.outcome is FileOutcome.REFUSED
    assert not Image.objects.exists()


def test_a_chest_that_cannot_be_decoded_is_refused_by_the_name_of_its_encoding(receive):
    content = dicom(transfer_syntax=uid.JPEG2000Lossless)
    assert uid.JPEG2000Lossless.encode() in content
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + uid.JPEG2000Lossless.encode()
    content = content.replace(syntax, syntax.replace(b"1.2.4.90", b"1.2.4.94"))
    receipt = receive(content)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "unsupported_transfer_syntax")
    assert "JPIP" in receipt.reason


def test_the_columns_that_a_search_needs_are_those_of_the_header(receive):
    content = dicom(
        study_instance_uid=STUDY,
        transfer_syntax=uid.JPEG2000Lossless,
        elements={"SeriesNumber": 4, "InstanceNumber": 7, "SeriesInstanceUID": "1.2.9"},
    )
    image = receive(content).image
    assert (image.series_instance_uid, image.series_number, image.instance_number) == ("1.2.9", 4, 7)
    assert image.sop_class_uid == uid.ComputedRadiographyImageStorage
    assert image.transfer_syntax_uid == uid.JPEG2000Lossless
    assert (image.number_of_frames, image.road) == (1, "stow")
    assert receive(structured_report()).image.number_of_frames is None


# The same file again


def test_the_same_bytes_are_linked_and_nothing_new_is_stored(receive, stored_files):
    first = receive(dicom())
    before = stored_files()
    again = receive(dicom(), "another name.dcm")
    assert (again.outcome, again.image) == (FileOutcome.DUPLICATE, first.image)
    assert stored_files() == before
    assert AuditEvent.objects.get(action="file_duplicate").object_id == str(first.image.pk)


def test_the_same_picture_with_other_details_is_linked_and_the_first_one_kept(receive, stored_files):
    first = receive(dicom())
    before = stored_files()
    again = receive(changed(dicom(), StationName="Room 2"))
    assert (again.outcome, again.image) == (FileOutcome.DUPLICATE, first.image)
    assert "the same picture" in again.reason
    assert stored_files() == before


@pytest.mark.parametrize(
    "elements",
    [{"PatientID": "MRN-2"}, {"PatientName": "Other^Olga"}, {"PatientBirthDate": "19500101"}],
    ids=str,
)
def test_the_same_picture_under_another_patients_name_is_held_and_not_taken_for_the_same(
    receive, elements, doctor, site
):
    first = receive(dicom(patient_birth_date="19700101")).image
    content = changed(dicom(patient_birth_date="19700101"), **elements)
    again = receive(content)
    assert (again.outcome, again.code, again.image) == (FileOutcome.HELD, "patient_differs", first)
    assert again.held.patient == first.study.patient
    assert not again.held.can_be_stored
    HeldFile.objects.all().delete()
    by_hand = receive_file(actor=doctor, site=site, upload=SimpleUploadedFile("x.dcm", content))
    assert (by_hand.outcome, by_hand.code) == (FileOutcome.HELD, "patient_differs")
    assert Patient.objects.count() == 1


def test_another_picture_under_the_same_uid_is_held_with_both_kept(receive, stored_files):
    first = receive(dicom(1, sop_instance_uid="1.2.3.9"))
    again = receive(dicom(2, sop_instance_uid="1.2.3.9"))
    assert (again.outcome, again.code, again.image) == (FileOutcome.HELD, "other_pixels", first.image)
    held = HeldFile.objects.get()
    assert held.image == first.image
    assert held.is_shown
    assert stored_files() == sorted([held.file.name, first.image.file.name])
    assert Image.objects.count() == 1
    event = AuditEvent.objects.get(action="file_held")
    assert event.patient == first.image.study.patient


def test_a_held_file_that_comes_again_is_held_once(receive, stored_files):
    receive(dicom(1, sop_instance_uid="1.2.3.9"))
    held = receive(dicom(2, sop_instance_uid="1.2.3.9")).held
    before = stored_files()
    again = receive(dicom(2, sop_instance_uid="1.2.3.9"))
    assert (again.outcome, again.held) == (FileOutcome.HELD, held)
    assert stored_files() == before


def test_a_picture_is_known_by_its_bytes(receive, doctor, site):
    described = described_as("MRN-1")
    first = receive(png(), "a.png", described=described)
    assert first.outcome is FileOutcome.STORED
    assert receive(png(), "b.png", described=described).outcome is FileOutcome.DUPLICATE
    assert receive(png(2), "c.png", described=described).outcome is FileOutcome.STORED


# Whose it is


def described_as(mrn, name="", birth_date=None):
    return unattended.Described(identity=PatientIdentity(mrn=mrn, person_name=name, birth_date=birth_date))


@pytest.fixture
def ana(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", birth_date="1970-01-01", sex="F")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"patient_name": "EXAMPLE^ANA"},
        {"patient_name": "Example^Ana^^^"},
        {"patient_name": "Example^Ana=例^安"},
        {"patient_name": ""},
        {"patient_birth_date": ""},
        {"patient_sex": ""},
    ],
    ids=str,
)
def test_a_file_that_contradicts_nothing_goes_to_the_patient_on_record(receive, ana, said):
    receipt = receive(dicom(**{"patient_birth_date": "19700101", **said}))
    assert receipt.outcome is FileOutcome.STORED, receipt.reason
    assert receipt.image.study.patient == ana


@pytest.mark.parametrize(
    "said",
    [
        {"patient_name": "Example^Anna"},
        {"patient_name": "Other^Ana"},
        {"patient_name": "例^安"},
        {"patient_birth_date": "19700102"},
        {"patient_sex": "M"},
    ],
    ids=str,
)
def test_another_name_birth_date_or_sex_under_a_known_number_is_held(receive, ana, said, model):
    receipt = receive(dicom(**{"patient_birth_date": "19700101", **said}))
    assert (receipt.outcome, receipt.code) == (FileOutcome.HELD, "patient_differs")
    assert receipt.held.patient == ana
    assert not Image.objects.exists()
    assert not Prediction.objects.exists()
    assert not IncomingFile.objects.exists()
    ana.refresh_from_db()
    assert ana.person_name == "Example^Ana"


def test_the_same_number_at_another_hospital_is_another_patient(receive, ana, outsider, other_site):
    receipt = receive(dicom(patient_name="Other^Olga"), actor=outsider, at=other_site)
    assert receipt.outcome is FileOutcome.STORED
    assert receipt.image.study.patient != ana


def test_a_study_that_belongs_to_somebody_else_holds_the_file_and_makes_no_patient(receive, ana):
    receive(dicom(1, study_instance_uid=STUDY, patient_birth_date="19700101"))
    receipt = receive(dicom(2, study_instance_uid=STUDY, patient_id="MRN-2", patient_name="Other^Olga"))
    assert (receipt.outcome, receipt.code) == (FileOutcome.HELD, "study_of_other_patient")
    assert receipt.held.patient == ana
    assert Patient.objects.count() == 1


def test_a_dicom_file_without_a_record_number_is_held_for_a_person(receive):
    receipt = receive(dicom(patient_id=""))
    assert (receipt.outcome, receipt.code) == (FileOutcome.HELD, "patient_not_named")
    assert receive(dicom(patient_id="")).outcome is FileOutcome.HELD
    assert HeldFile.objects.count() == 1


def test_patient_data_that_cannot_be_true_are_held(receive):
    receipt = receive(dicom(patient_birth_date="29990101"))
    assert (receipt.outcome, receipt.code) == (FileOutcome.HELD, "patient_invalid")
    assert not Patient.objects.exists()


def test_the_header_goes_before_what_the_sender_says(receive):
    assert receive(dicom(), described=described_as("MRN-9")).image.study.patient.mrn == "MRN-1"
    assert (
        receive(dicom(2, patient_id=""), described=described_as("MRN-9")).image.study.patient.mrn == "MRN-9"
    )


def test_a_picture_is_never_linked_to_the_image_of_somebody_else(receive):
    receive(png(), described=described_as("MRN-1"))
    receipt = receive(png(), described=described_as("MRN-2"))
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "stored_for_other_patient")
    assert Image.objects.count() == 1


def test_what_a_sender_says_wrongly_of_a_picture_is_refused_for_the_sender_to_correct(receive, ana):
    differs = receive(png(), described=described_as("MRN-1", "Other^Olga"))
    future = receive(png(), described=described_as("MRN-3", birth_date=dt.date(2999, 1, 1)))
    assert (differs.code, future.code) == ("patient_differs", "invalid")
    assert not HeldFile.objects.exists()


def test_two_who_bring_the_same_contradiction_at_once_hold_it_once(receive, ana, stored_files, monkeypatch):
    content = dicom(patient_sex="M", patient_birth_date="19700101")
    real = unattended.file_take_in

    def somebody_is_faster(**arguments):
        monkeypatch.setattr(unattended, "file_take_in", real)
        receive(content)
        return real(**arguments)

    monkeypatch.setattr(unattended, "file_take_in", somebody_is_faster)
    assert receive(content).outcome is FileOutcome.HELD
    assert HeldFile.objects.count() == 1
    assert len(stored_files()) == 1


def test_a_file_that_cannot_be_stored_for_a_technical_reason_leaves_nothing(
    receive, stored_files, monkeypatch
):
    monkeypatch.setattr("diagnosis.services.studies.prediction_request", broken)
    receipt = receive(dicom())
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "technical_error")
    assert stored_files() == []
    assert not any(model.objects.exists() for model in (Patient, Study, Image))
    monkeypatch.undo()
    assert receive(dicom()).outcome is FileOutcome.STORED


def broken(**_):
    raise RuntimeError("the database is gone, said Example^Ana")


def test_no_patient_data_reach_a_receipt_or_the_log(receive, ana, monkeypatch, caplog):
    receipts = [
        receive(dicom(patient_name="Canary^Olga", patient_birth_date="19700102")),
        receive(dicom(patient_id="", patient_name="Canary^Olga")),
        receive(dicom(patient_name="Canary^Olga")[:-100]),
    ]
    monkeypatch.setattr("diagnosis.services.studies.prediction_request", broken)
    receipts.append(receive(dicom(3, patient_id="M-3", patient_name="Canary^Olga")))
    assert not [receipt for receipt in receipts if "Canary" in receipt.reason or "MRN-1" in receipt.reason]
    assert "Canary" not in "".join(record.getMessage() for record in caplog.records)


# What the database itself refuses


@pytest.mark.parametrize(
    "change",
    [
        {"not_analysed_code": "because"},
        {"road": "pigeon"},
        {"preview": ""},
        {"preview": "", "thumbnail": ""},
        {"rows": None},
        {"kind": "gif"},
    ],
    ids=str,
)
def test_the_database_refuses_an_image_that_cannot_be(receive, change):
    image = receive(dicom()).image
    with pytest.raises(IntegrityError), transaction.atomic():
        Image.objects.filter(pk=image.pk).update(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": "discarded"},
        {"resolution": "attached"},
        {"reason_code": "mood"},
        {"reason_code": "other_pixels"},
        {"patient": None},
    ],
    ids=str,
)
def test_the_database_refuses_a_held_file_that_cannot_be(receive, ana, change):
    held = receive(dicom(patient_sex="M")).held
    with pytest.raises(IntegrityError), transaction.atomic():
        HeldFile.objects.filter(pk=held.pk).update(**change)


# The page follows the same rules


def test_a_kind_that_is_not_analysed_says_so_before_it_is_confirmed(doctor, site):
    receipt = receive_file(
        actor=doctor, site=site, upload=SimpleUploadedFile("x.dcm", KINDS["a lateral view"][0])
    )
    assert receipt.outcome is FileOutcome.WAITING
    assert "from the side" in receipt.reason
    assert (receipt.incoming.not_analysed_code, receipt.incoming.road) == ("lateral", "web")
