"""Demo patients: with drawn chests, or with the images of a folder."""

import datetime as dt
from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from tqdm import tqdm

from diagnosis.intake.receive import receive_file
from diagnosis.management.commands.demo_accounts import DEMO_SITE
from diagnosis.models import IncomingFile, Patient, PcrResult, Severity, Site, Study, SymptomCode, User
from diagnosis.services.clinical_notes import lab_result_add, symptom_note_add
from diagnosis.services.patients import patient_create
from diagnosis.services.studies import FileOutcome, study_submit
from ml.phantom import Variant, phantom_dicom, phantom_jpeg, phantom_png


class Command(BaseCommand):
    help = "Load demo patients into the demo site. Safe to run twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--images", type=Path, help="A folder of chest X-rays to load in place of the drawn ones."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        site = Site.objects.get(name=DEMO_SITE)
        doctor = User.objects.get(username="doctor")
        if options["images"]:
            self._load_folder(site, doctor, options["images"])
        elif not Study.objects.filter(site=site).exists():
            for make in DRAWN:
                with transaction.atomic():
                    make(site, doctor)
            self.stdout.write(f"Loaded {len(DRAWN)} drawn demo patients.")

    def _load_folder(self, site: Site, doctor: User, folder: Path) -> None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder. Give the folder that holds the images.")
        stored = refused = 0
        for path in tqdm(
            sorted(p for p in folder.rglob("*") if p.is_file()), unit="file", desc="Loading images"
        ):
            upload = SimpleUploadedFile(path.name, path.read_bytes())
            receipt = receive_file(actor=doctor, site=site, upload=upload)
            if receipt.incoming is not None:
                self._store(site, doctor, receipt.incoming)
                stored += 1
            elif receipt.outcome is FileOutcome.REFUSED:
                refused += 1
                self.stderr.write(f"{path.name}: {receipt.reason}")
        self.stdout.write(
            f"Loaded {stored} images; {refused} refused; those that were there already were left alone."
        )

    @transaction.atomic
    def _store(self, site: Site, doctor: User, incoming: IncomingFile) -> None:
        mrn = incoming.header.get("patient_id") or f"DEMO-{incoming.sha256[:8]}"
        patient = Patient.objects.filter(site=site, mrn=mrn).first() or patient_create(
            actor=doctor,
            site=site,
            mrn=mrn,
            person_name=incoming.header.get("patient_name") or f"Demo^{incoming.sha256[:8]}",
            sex=incoming.header.get("patient_sex") or "",
        )
        study_submit(actor=doctor, patient=patient, files=[incoming], differences_accepted=True)


def _ago(**delta: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**delta)


def _incoming(site: Site, doctor: User, name: str, content: bytes) -> IncomingFile:
    receipt = receive_file(actor=doctor, site=site, upload=SimpleUploadedFile(name, content))
    if receipt.incoming is None:
        raise CommandError(f"The drawn image {name} was not taken: {receipt.reason}")
    return receipt.incoming


def _covid_patient(site: Site, doctor: User) -> None:
    patient = patient_create(
        actor=doctor,
        site=site,
        mrn="DEMO-0001",
        person_name="Muster^Martina",
        birth_date=dt.date(1958, 4, 12),
        sex="F",
    )
    symptom_note_add(
        actor=doctor,
        patient=patient,
        symptoms={
            SymptomCode.FEVER: Severity.MODERATE,
            SymptomCode.COUGH: Severity.MODERATE,
            SymptomCode.DYSPNOEA: Severity.SEVERE,
        },
        onset_date=timezone.localdate() - dt.timedelta(days=8),
        temperature_c=Decimal("38.7"),
        spo2_percent=89,
        exposure="contact",
        text="Short of breath on the stairs since yesterday.",
        noted_at=_ago(hours=5),
    )
    lab_result_add(
        actor=doctor,
        patient=patient,
        result=PcrResult.DETECTED,
        collected_at=_ago(days=2),
        received_at=_ago(days=1),
        ct_value=Decimal("22.4"),
        laboratory="Demo Laboratory",
    )
    content = phantom_dicom(
        11,
        variant=Variant.PERIPHERAL,
        photometric="MONOCHROME1",
        bits_stored=12,
        transfer_syntax=JPEG2000Lossless,
        study_date=f"{_ago(hours=2):%Y%m%d}",
        study_time=f"{_ago(hours=2):%H%M%S}",
        patient_id=patient.mrn,
        patient_name=patient.person_name,
        patient_birth_date="19580412",
        patient_sex="F",
    )
    study_submit(
        actor=doctor,
        patient=patient,
        files=[_incoming(site, doctor, "chest-pa.dcm", content)],
        priority="urgent",
    )


def _healthy_patient(site: Site, doctor: User) -> None:
    patient = patient_create(
        actor=doctor,
        site=site,
        mrn="DEMO-0002",
        person_name="Beispiel^Bruno",
        birth_date=dt.date(1984, 11, 2),
        sex="M",
    )
    lab_result_add(
        actor=doctor,
        patient=patient,
        result=PcrResult.NOT_DETECTED,
        collected_at=_ago(days=1, hours=3),
        received_at=_ago(hours=20),
        laboratory="Demo Laboratory",
    )
    study_submit(
        actor=doctor,
        patient=patient,
        files=[_incoming(site, doctor, "chest.png", phantom_png(12))],
        performed_at=_ago(hours=3),
    )


def _patient_with_ideographic_name(site: Site, doctor: User) -> None:
    patient = patient_create(
        actor=doctor,
        site=site,
        mrn="DEMO-0003",
        person_name="Yamada^Hanako=山田^花子=やまだ^はなこ",
        birth_date=dt.date(1971, 7, 30),
        sex="F",
    )
    symptom_note_add(
        actor=doctor,
        patient=patient,
        symptoms={SymptomCode.COUGH: Severity.MILD, SymptomCode.SORE_THROAT: Severity.MILD},
        onset_date=timezone.localdate() - dt.timedelta(days=3),
        temperature_c=Decimal("37.6"),
        spo2_percent=97,
        noted_at=_ago(hours=9),
    )
    content = phantom_dicom(
        13,
        photometric="MONOCHROME2",
        bits_stored=16,
        transfer_syntax=JPEGLSLossless,
        study_date=f"{_ago(hours=2):%Y%m%d}",
        study_time=f"{_ago(hours=2):%H%M%S}",
        patient_id=patient.mrn,
        patient_name=patient.person_name,
        patient_birth_date="19710730",
        patient_sex="F",
    )
    study_submit(actor=doctor, patient=patient, files=[_incoming(site, doctor, "CR000001", content)])


def _patient_with_arabic_name(site: Site, doctor: User) -> None:
    patient = patient_create(
        actor=doctor,
        site=site,
        mrn="DEMO-0004",
        person_name="مثال^ليلى",
        birth_date=dt.date(1966, 1, 19),
        sex="F",
    )
    lab_result_add(
        actor=doctor,
        patient=patient,
        result=PcrResult.INDETERMINATE,
        collected_at=_ago(hours=30),
        received_at=_ago(hours=6),
    )
    content = phantom_dicom(
        14,
        variant=Variant.DIFFUSE,
        photometric="MONOCHROME2",
        bits_stored=8,
        transfer_syntax=RLELossless,
        study_date=f"{_ago(hours=2):%Y%m%d}",
        study_time=f"{_ago(hours=2):%H%M%S}",
        patient_id=patient.mrn,
        patient_name=patient.person_name,
        patient_birth_date="19660119",
        patient_sex="F",
    )
    study_submit(
        actor=doctor,
        patient=patient,
        files=[_incoming(site, doctor, "chest-ap.dcm", content)],
        priority="stat",
    )


def _patient_with_two_images(site: Site, doctor: User) -> None:
    patient = patient_create(
        actor=doctor,
        site=site,
        mrn="DEMO-0005",
        person_name="Ejemplo^Élodie",
        birth_date=dt.date(1992, 9, 8),
        sex="F",
    )
    files = [
        _incoming(site, doctor, "before.jpg", phantom_jpeg(15)),
        _incoming(site, doctor, "after.jpg", phantom_jpeg(16, variant=Variant.PERIPHERAL)),
    ]
    study_submit(actor=doctor, patient=patient, files=files, performed_at=_ago(days=1))


DRAWN = (
    _covid_patient,
    _healthy_patient,
    _patient_with_ideographic_name,
    _patient_with_arabic_name,
    _patient_with_two_images,
)
