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

from diagnosis import policies
from diagnosis.errors import Conflict, PersonError
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.models import ImageKind, IncomingFile, Patient, Priority, Road, Site, User
from diagnosis.services.arrivals import PatientNotNamed
from diagnosis.services.patients import PatientIdentity, patient_identify, patient_identify_or_create
from diagnosis.services.studies import (
    SAME_BYTES,
    FileOutcome,
    Receipt,
    file_duplicate,
    file_refuse,
    incoming_file_discard,
    stored_twin,
    study_submit,
)

logger = logging.getLogger(__name__)

TECHNICAL_ERROR = "technical_error"
SENT_TWICE = "This file was sent twice. Nothing was stored twice."


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
    """Store ``uploads``, and say of each, in their order, whether it was stored, is a duplicate or was refused, and why.

    The PNG and JPEG files make one study. One bad file never stops the others, and nothing is kept of a refused one.
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
    patient = submission.patient
    if patient is None:
        identity = submission.identity or PatientIdentity.from_header(files[0].header)
        if identity is None:
            raise PatientNotNamed(
                "The file does not say whose image it is. Send the patient with it: the record number, or an existing patient."
            )
        patient = patient_identify_or_create(
            actor=submission.actor,
            site=submission.site,
            identity=identity,
            differences_accepted=submission.differences_accepted,
        )
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


def _refuse(submission: Submission, file_name: str, error: Exception) -> Receipt:
    return file_failed(actor=submission.actor, site=submission.site, file_name=file_name, error=error)


def file_failed(*, actor: User, site: Site, file_name: str, error: Exception) -> Receipt:
    """Refuse the file that ``error`` came up with: in its own words where they are for people, else in neutral ones."""
    match error:
        case PersonError():
            code, reason = error.code, str(error)
        case PermissionDenied():
            code, reason = "permission_denied", str(error)
        case ValidationError():
            code, reason = "invalid", " ".join(error.messages)
        case _:
            error_id = uuid.uuid4().hex[:8]
            logger.error("A file could not be stored.", exc_info=error, extra={"error_id": error_id})
            code = TECHNICAL_ERROR
            reason = (
                "The file could not be stored for a technical reason, and nothing of it was kept. Send it again, and if that "
                f"fails tell an administrator the error number {error_id}."
            )
    file_refuse(actor=actor, site=site, code=code)
    return Receipt(file_name, FileOutcome.REFUSED, reason, code=code)
