"""``manage.py import_studies``: folders, archives and a map of patients; twice is once."""

import io
import zipfile

import pytest
from django.core.management import CommandError, call_command

from diagnosis.models import HeldFile, Image, Patient, Study
from tests.factories import MembershipFactory, PatientFactory
from tests.web.files import dicom, png


@pytest.fixture
def run(doctor, site):
    def call(*paths, user=doctor, **options):
        out = io.StringIO()
        call_command("import_studies", *map(str, paths), username=user.username, stdout=out, **options)
        return out.getvalue()

    return call


@pytest.fixture
def folder(tmp_path):
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    (files / "1.dcm").write_bytes(dicom(1))
    (files / "deep" / "2.dcm").write_bytes(dicom(2))
    (files / "letter.txt").write_bytes(b"Dear colleague")
    with zipfile.ZipFile(files / "cd.zip", "w") as archive:
        archive.writestr("3.dcm", dicom(3))
    return files


def test_folders_and_archives_are_stored_and_every_refusal_is_named(run, folder):
    said = run(folder)
    assert said.splitlines()[-1] == "3 stored, 0 duplicate, 0 held, 1 refused."
    assert f"refused (unknown_kind): {folder / 'letter.txt'}: The file is not a DICOM" in said
    assert Image.objects.count() == 3
    assert {image.road for image in Image.objects.all()} == {"command"}


def test_a_second_run_stores_nothing_new(run, folder):
    run(folder)
    assert run(folder).splitlines()[-1] == "0 stored, 3 duplicate, 0 held, 1 refused."
    assert Image.objects.count() == 3


def test_a_run_that_was_broken_off_is_completed_by_the_next(run, folder):
    run(folder / "1.dcm")
    assert run(folder).splitlines()[-1] == "2 stored, 1 duplicate, 0 held, 1 refused."


def test_a_contradiction_is_held_and_said(run, folder, site):
    PatientFactory(site=site, mrn="MRN-1", person_name="Other^Olga")
    said = run(folder / "1.dcm")
    assert "held (patient_differs)" in said
    assert "Olga" not in said
    assert HeldFile.objects.count() == 1


@pytest.fixture
def pictures(tmp_path):
    """Beside the portal's own files, not among them."""
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def csv_of(pictures, text: str):
    path = pictures / "map.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_pictures_without_patient_data_go_where_the_map_says(run, pictures):
    for n in (1, 2, 3):
        (pictures / f"{n}.png").write_bytes(png(n))
    table = csv_of(
        pictures,
        "path,patient_id,patient_name,patient_birth_date,patient_sex,study,study_date,accession_number\n"
        "1.png,M-1,Müller^Jörg,1970-01-31,M,first,2026-07-01T09:30,ACC-1\n"
        "2.png,M-1,,,,first,,\n"
        "3.png,M-2,,,,,,\n",
    )
    said = run(pictures, csv=table)
    assert said.splitlines()[-1] == "3 stored, 0 duplicate, 0 held, 0 refused."
    patient = Patient.objects.get(mrn="M-1")
    assert (patient.person_name, str(patient.birth_date)) == ("Müller^Jörg", "1970-01-31")
    study = Study.objects.get(patient=patient)
    assert study.images.count() == 2
    assert study.performed_at.isoformat() == "2026-07-01T07:30:00+00:00"  # In the hospital's own zone.
    assert Study.objects.count() == 2
    assert "0 stored, 3 duplicate" in run(pictures, csv=table)


def test_a_picture_that_nobody_names_is_refused(run, pictures):
    (pictures / "1.png").write_bytes(png())
    assert "refused (patient_not_named)" in run(pictures)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,mrn\n1.png,M-1\n", "Unknown: mrn; missing: patient_id"),
        ("path,patient_id\n1.png,\n", "Line 2"),
        ("path,patient_id,patient_sex\n1.png,M-1,female\n", "patient_sex"),
        ("path,patient_id,study_date\n1.png,M-1,31/07/2026\n", "2026-07-31"),
        ("", "first line"),
    ],
)
def test_a_map_that_cannot_be_used_stores_nothing_and_says_where(run, pictures, text, words):
    (pictures / "1.png").write_bytes(png())
    with pytest.raises(CommandError, match=words):
        run(pictures, csv=csv_of(pictures, text))
    assert not Image.objects.exists()


def test_an_account_that_may_not_upload_stores_nothing(run, folder, admin):
    with pytest.raises(CommandError, match="uploads at: none"):
        run(folder, user=admin)


def test_the_hospital_is_named_where_there_are_several(run, folder, doctor, other_site):
    MembershipFactory(user=doctor, site=other_site, role="doctor")
    with pytest.raises(CommandError, match="Name the hospital with --site"):
        run(folder)
    run(folder / "1.dcm", site="Elsewhere General")
    assert Image.objects.get().site == other_site


def test_a_path_that_is_not_there_is_said_before_anything_is_stored(run, folder):
    with pytest.raises(CommandError, match="There is no"):
        run(folder, folder / "none")
    assert not Image.objects.exists()


def test_a_technical_fault_ends_with_an_error_and_the_next_run_completes_it(run, folder, monkeypatch):
    def broken(**_):
        raise OSError("no space left")

    monkeypatch.setattr("diagnosis.intake.unattended.file_take_in", broken)
    with pytest.raises(CommandError, match="3 files could not be stored"):
        run(folder)
    monkeypatch.undo()
    assert "3 stored" in run(folder)
