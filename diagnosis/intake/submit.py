"""Upload in one step, for roads where nobody looks at the files in between: examine, identify the patient, store."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import logging
import uuid
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop, override

from diagnosis import policies
from diagnosis.errors import Conflict, PatientDiffers, PersonError, StudyOfOtherPatient
from diagnosis.full_disk import FILE_NOT_STORED, NO_ROOM, is_full_disk
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.models import (
    HeldReason,
    ImageKind,
    IncomingFile,
    Patient,
    Priority,
    Road,
    Site,
    Study,
    User,
)
from diagnosis.sentences import SOURCE_LANGUAGE, Sentence
from diagnosis.services.arrivals import PatientNotNamed
from diagnosis.services.held import held_already
from diagnosis.services.patients import PatientIdentity, patient_identify, patient_identify_or_create
from diagnosis.services.studies import (
    SAME_BYTES,
    FileOutcome,
    Receipt,
    file_duplicate,
    file_refuse,
    held_receipt,
    incoming_file_discard,
    incoming_file_hold,
    stored_twin,
    study_submit,
)

logger = logging.getLogger(__name__)

TECHNICAL_ERROR = "technical_error"
SENT_TWICE = Sentence(gettext_noop("This file was sent twice. Nothing was stored twice."))


#: What is held though it contradicts nobody.
OF_NOBODY_ON_RECORD = frozenset({HeldReason.PATIENT_INVALID, HeldReason.PATIENT_NOT_NAMED})


class Contradiction(Exception):  # noqa: N818  Named for what the file is in.
    """A file's own header contradicts the record, or cannot be true; ``error`` is what would be said to who can correct it."""

    def __init__(self, code: HeldReason, error: Exception, *, patient: Patient | None = None) -> None:
        super().__init__()
        self.code, self.error, self.patient = code, error, patient


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What the sender says about all the files that come together.

    The patient is ``patient``, or the one that ``identity`` names, or else the one that each DICOM header names; one who is
    not on record yet is created with the first file that is stored. The rest describes the study of files that do not
    describe it themselves.
    """

    actor: User
    site: Site
    patient: Patient | None = None
    identity: PatientIdentity | None = None
    performed_at: dt.datetime | None = None
    study_description: str = ""
    accession_number: str = ""
    priority: str = Priority.ROUTINE
    differences_accepted: bool = False


def files_submit(submission: Submission, uploads: Sequence[UploadedFile]) -> list[Receipt]:
    """Store ``uploads``, and say of each, in their order, whether it was stored, is a duplicate, is held or was refused, and why.

    The PNG, JPEG and TIFF files make one study. One bad file never stops the others, and nothing is kept of a refused one. A
    DICOM file whose own header contradicts the record is held for an administrator, as on the roads where nobody looks.
    Raises, before any file is looked at, ``PermissionDenied``, ``PatientDiffers`` and ``ValidationError`` for what is wrong
    with all of them.
    """
    policies.require(submission.actor, policies.Act.UPLOAD, submission.site)
    if submission.identity is not None:
        patient_identify(
            actor=submission.actor,
            site=submission.site,
            identity=submission.identity,
            differences_accepted=submission.differences_accepted,
        )
    receipts = [_receive(submission, upload) for upload in uploads]
    pictures: dict[uuid.UUID, list[int]] = {}
    for index, receipt in enumerate(receipts):
        if receipt.incoming is not None:
            pictures.setdefault(receipt.incoming.pk, []).append(index)
    stored = _store(submission, [receipts[first] for first, *_ in pictures.values()])
    for (first, *repeated), receipt in zip(pictures.values(), stored, strict=True):
        receipts[first] = receipt
        for index in repeated:
            receipts[index] = _repeat(submission, receipt, file_name=receipts[index].file_name)
    return receipts


def _receive(submission: Submission, upload: UploadedFile) -> Receipt:
    """A DICOM file is stored at once; a picture waits for the others of its study."""
    try:
        receipt = receive_file(actor=submission.actor, site=submission.site, upload=upload, road=Road.API)
    except Exception as error:  # noqa: BLE001  Whatever is wrong with one file, the others go on; _refuse logs it.
        return _refuse(submission, shown_name(upload.name or ""), error)
    if receipt.incoming is not None and receipt.incoming.kind == ImageKind.DICOM:
        [receipt] = _store(submission, [receipt])
    return receipt


def _store(submission: Submission, waiting: Sequence[Receipt]) -> list[Receipt]:
    """Store the waiting files of one study, all or none."""
    files = [receipt.incoming for receipt in waiting if receipt.incoming is not None]
    if not files:
        return []
    try:
        try:
            stored = _submit(submission, files)
        except IntegrityError:
            # Somebody stored the same patient, study or image at the same moment; now it is there to be found.
            stored = _submit(submission, files)
    except Conflict as error:
        return [_stored_meanwhile(submission, receipt, error) for receipt in waiting]
    except Contradiction as found:
        return [_hold(submission, receipt, found) for receipt in waiting]
    except Exception as error:  # noqa: BLE001  As above.
        for receipt in waiting:
            _discard(submission, receipt)
        return [_refuse(submission, receipt.file_name, error) for receipt in waiting]
    return [
        dataclasses.replace(done, file_name=receipt.file_name)
        for done, receipt in zip(stored, waiting, strict=True)
    ]


@transaction.atomic
def _submit(submission: Submission, files: Sequence[IncomingFile]) -> list[Receipt]:
    patient = submission.patient or _identified(submission, files[0])
    try:
        return study_submit(
            actor=submission.actor,
            patient=patient,
            # Copies: a deleted instance forgets its key even when the transaction is rolled back.
            files=[copy.copy(incoming) for incoming in files],
            performed_at=submission.performed_at,
            study_description=submission.study_description,
            accession_number=submission.accession_number,
            priority=submission.priority,
            differences_accepted=submission.differences_accepted,
        )
    except PatientDiffers as error:
        raise Contradiction(HeldReason.PATIENT_DIFFERS, error, patient=patient) from error
    except StudyOfOtherPatient as error:
        uid = files[0].header["study_instance_uid"]
        owner = Study.objects.select_related("patient").get(site=submission.site, study_instance_uid=uid)
        raise Contradiction(HeldReason.STUDY_OF_OTHER_PATIENT, error, patient=owner.patient) from error


def _identified(submission: Submission, incoming: IncomingFile) -> Patient:
    in_file = None if submission.identity else PatientIdentity.from_header(incoming.header)
    identity = submission.identity or in_file
    if identity is None:
        unnamed = PatientNotNamed(
            Sentence(
                gettext_noop(
                    "The file does not say whose image it is. Send the patient with it: the record number, or an "
                    "existing patient."
                )
            )
        )
        if incoming.kind != ImageKind.DICOM:
            raise unnamed
        # Kept as on every other road: an administrator attaches it by hand.
        raise Contradiction(HeldReason.PATIENT_NOT_NAMED, unnamed)
    try:
        return patient_identify_or_create(
            actor=submission.actor,
            site=submission.site,
            identity=identity,
            differences_accepted=submission.differences_accepted,
        )
    except (PatientDiffers, ValidationError) as error:
        if in_file is None:
            raise
        on_record = Patient.objects.filter(site=submission.site, mrn=in_file.mrn).first()
        code = HeldReason.PATIENT_DIFFERS if on_record else HeldReason.PATIENT_INVALID
        raise Contradiction(code, error, patient=on_record) from error


def _hold(submission: Submission, receipt: Receipt, found: Contradiction) -> Receipt:
    """Hold the file. Refuse it where a person can do better: its sender, whose two statements contradict each other and nobody
    on record; and its uploader, for whom it waited before and goes on waiting.
    """
    incoming = receipt.incoming
    # One who was new with this file went with the transaction.
    on_record = found.patient and Patient.objects.filter(pk=found.patient.pk).first()
    if (
        incoming is None
        or receipt.was_waiting
        or (found.code not in OF_NOBODY_ON_RECORD and on_record is None)
    ):
        _discard(submission, receipt)
        return _refuse(submission, receipt.file_name, found.error)
    try:
        held = incoming_file_hold(
            actor=submission.actor, incoming=incoming, code=found.code, patient=on_record
        )
    except IntegrityError as error:
        _discard(submission, receipt)
        known = held_already(site=submission.site, sha256=incoming.sha256)
        if known is None:
            return _refuse(submission, receipt.file_name, error)
        held = known
    return held_receipt(receipt.file_name, held)


def _stored_meanwhile(submission: Submission, receipt: Receipt, conflict: Conflict) -> Receipt:
    """The same person sent the same file at the same moment, and the other request was faster."""
    incoming = receipt.incoming
    twin = incoming and stored_twin(
        site=submission.site,
        sha256=incoming.sha256,
        sop_instance_uid=incoming.header.get("sop_instance_uid", ""),
    )
    if not twin:
        _discard(submission, receipt)
        return _refuse(submission, receipt.file_name, conflict)
    file_duplicate(actor=submission.actor, image=twin)
    return Receipt(receipt.file_name, FileOutcome.DUPLICATE, SAME_BYTES, image=twin)


def _discard(submission: Submission, receipt: Receipt) -> None:
    """Keep nothing of a refused file, unless it was waiting from an earlier upload of the same person."""
    if receipt.incoming is None or receipt.was_waiting:
        return
    try:
        incoming_file_discard(actor=submission.actor, incoming=receipt.incoming)
    except Exception:
        logger.exception(
            "A refused file stays among the waiting ones.", extra={"incoming": str(receipt.incoming.pk)}
        )


def _repeat(submission: Submission, first: Receipt, *, file_name: str) -> Receipt:
    """What becomes of a file that came twice in one request."""
    if first.image is None:
        return dataclasses.replace(first, file_name=file_name)
    file_duplicate(actor=submission.actor, image=first.image)
    return Receipt(file_name, FileOutcome.DUPLICATE, SENT_TWICE, image=first.image)


def _of_fields(error: ValidationError) -> Sentence:
    """What is wrong with each field, in English: what is kept of it is nobody's own language."""
    with override(SOURCE_LANGUAGE):
        return Sentence(" ".join(error.messages))


def _refuse(submission: Submission, file_name: str, error: Exception) -> Receipt:
    return file_failed(actor=submission.actor, site=submission.site, file_name=file_name, error=error)


def file_failed(*, actor: User, site: Site, file_name: str, error: Exception) -> Receipt:
    """Refuse the file that ``error`` came up with: in its own words where they are for people, else in neutral ones."""
    match error:
        case PersonError():
            code, reason = error.code, Sentence.of(error)
        case PermissionDenied():
            code, reason = "permission_denied", Sentence.of(error)
        case ValidationError():
            code, reason = "invalid", _of_fields(error)
        case _ if is_full_disk(error):
            logger.error("A file could not be stored: the disk is full.")
            code, reason = NO_ROOM, Sentence(FILE_NOT_STORED)
        case _:
            error_id = uuid.uuid4().hex[:8]
            logger.error("A file could not be stored.", exc_info=error, extra={"error_id": error_id})
            code = TECHNICAL_ERROR
            reason = Sentence(
                gettext_noop(
                    "The file could not be stored for a technical reason, and nothing of it was kept. Send it again, "
                    "and if that fails tell an administrator the error number {error_id}."
                ),
                error_id=error_id,
            )
    file_refuse(actor=actor, site=site, code=code)
    return Receipt(file_name, FileOutcome.REFUSED, reason, code=code)
