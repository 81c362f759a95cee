"""From a received file to an image of a study."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import uuid
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible, PatientDiffers
from diagnosis.models import AuditAction, Image, IncomingFile, Patient, Priority, Site, Study, User
from diagnosis.services.audit import audit_record
from diagnosis.services.patients import patient_differences
from diagnosis.services.predictions import prediction_request, study_apply
from diagnosis.services.transitions import StudyEvent


class FileOutcome(StrEnum):
    """What became of one file."""

    WAITING = "waiting"
    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    #: Kept, and not in the record yet: a person must decide whose or which it is.
    HELD = "held"


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file, and why, in a sentence for the person.

    ``code`` names the reason of a refusal for programs; ``was_waiting`` tells that the file came before, and waits since.
    """

    file_name: str
    outcome: FileOutcome
    reason: str = ""
    incoming: IncomingFile | None = None
    image: Image | None = None
    code: str = ""
    was_waiting: bool = False


def delete_files_on_commit(names: Iterable[str]) -> None:
    for name in names:
        transaction.on_commit(functools.partial(default_storage.delete, name))


def stored_twin(*, site: Site, sha256: str, sop_instance_uid: str) -> tuple[Image, str] | None:
    """The image that this file would duplicate at ``site``, with a sentence that says so."""
    same = Q(sha256=sha256)
    if sop_instance_uid:
        same |= Q(sop_instance_uid=sop_instance_uid)
    # Equal bytes are the stronger statement where both match different images.
    twins = sorted(
        Image.objects.filter(same, site=site).select_related("study__patient"),
        key=lambda image: image.sha256 != sha256,
    )
    if not twins:
        return None
    if twins[0].sha256 == sha256:
        return twins[0], "This file is stored already. Nothing was stored twice."
    return twins[0], (
        "An image with the same SOP Instance UID is stored already, with other contents. The stored one was kept and this "
        "file was not. If the new one is the right one, ask an administrator."
    )


@transaction.atomic
def file_duplicate(*, actor: User, image: Image) -> None:
    """Put on record that ``actor`` brought a file that is stored already."""
    audit_record(
        actor=actor,
        action=AuditAction.FILE_DUPLICATE,
        site=image.site,
        patient=image.study.patient,
        target=image,
    )


@transaction.atomic
def file_refuse(*, actor: User, site: Site, code: str) -> None:
    """Put on record that a file of ``actor`` was refused; nothing of the file is kept."""
    audit_record(
        actor=actor, action=AuditAction.FILE_REFUSED, site=site, details={"code": code}, succeeded=False
    )


@transaction.atomic
def incoming_file_add(*, actor: User, site: Site, **values: Any) -> IncomingFile:
    """Keep an examined file until its uploader has confirmed patient and study. ``values`` are the model's fields."""
    policies.require(actor, policies.Act.UPLOAD, site)
    incoming = IncomingFile(site=site, uploaded_by=actor, **values)
    incoming.save(force_insert=True)
    audit_record(actor=actor, action=AuditAction.FILE_RECEIVED, site=site, target=incoming)
    return incoming


def _require_waiting(actor: User, files: Sequence[IncomingFile]) -> None:
    """Lock ``files``, which only their uploader may confirm or discard, and only once.

    Confirmed or discarded twice at once, the second would find the files gone to an image, and delete them.
    """
    if any(incoming.uploaded_by_id != actor.pk for incoming in files):
        raise PermissionDenied("Only the person who uploaded a file may confirm or discard it.")
    waiting = IncomingFile.objects.select_for_update().filter(pk__in=[incoming.pk for incoming in files])
    if len(waiting) != len(files):
        raise Conflict(
            "One of these files was stored or discarded meanwhile. Nothing was changed now: look at the worklist."
        )


@transaction.atomic
def incoming_file_discard(*, actor: User, incoming: IncomingFile) -> None:
    """Throw away a file that its uploader does not want to store."""
    policies.require(actor, policies.Act.UPLOAD, incoming.site)
    _require_waiting(actor, [incoming])
    audit_record(actor=actor, action=AuditAction.FILE_DISCARDED, site=incoming.site, target=incoming)
    delete_files_on_commit(incoming.stored_names)
    incoming.delete()


@transaction.atomic
def study_submit(
    *,
    actor: User,
    patient: Patient,
    files: Sequence[IncomingFile],
    performed_at: dt.datetime | None = None,
    study_description: str = "",
    accession_number: str = "",
    priority: str = Priority.ROUTINE,
    differences_accepted: bool = False,
) -> list[Receipt]:
    """Store confirmed files as images of this patient's studies and ask for the network's opinion on each.

    DICOM files go to the study that their Study Instance UID names; the PNG and JPEG files among ``files`` make one new
    study. What a DICOM header says about its study wins over ``performed_at``, ``study_description`` and
    ``accession_number``, which describe the files that say nothing.

    Raises ``NotPossible`` when a file names another patient and ``differences_accepted`` is not set, or when its study
    belongs to another patient; ``Conflict`` when a file is not waiting any more; ``ValidationError`` for a time in the
    future. Nothing is stored then.
    """
    policies.require(actor, policies.Act.UPLOAD, patient.site)
    _require_waiting(actor, files)
    if any(incoming.site_id != patient.site_id for incoming in files):
        raise NotPossible(
            "A file and its patient belong to different hospitals. Upload the file again at the right one."
        )
    differing = [incoming for incoming in files if patient_differences(patient, incoming.header)]
    if differing and not differences_accepted:
        raise PatientDiffers(
            "The patient named in the file differs from the chosen patient. Compare both, and confirm that they are the "
            "same person, or choose another patient."
        )
    if performed_at is not None and performed_at > timezone.now():
        raise ValidationError(
            {"performed_at": "This time lies in the future. Enter when the image was taken."}
        )
    described = {
        "performed_at": performed_at,
        "study_description": study_description,
        "accession_number": accession_number,
        "priority": priority,
    }
    raster_study_uid = f"2.25.{uuid.uuid4().int}"  # PS3.5 B.2: a UID derived from a UUID.
    receipts: list[Receipt] = []
    for incoming in files:
        twin = stored_twin(
            site=patient.site,
            sha256=incoming.sha256,
            sop_instance_uid=incoming.header.get("sop_instance_uid", ""),
        )
        if twin is not None:
            image, reason = twin
            file_duplicate(actor=actor, image=image)
            delete_files_on_commit(incoming.stored_names)
            receipts.append(Receipt(incoming.original_name, FileOutcome.DUPLICATE, reason, image=image))
        else:
            uid = incoming.header.get("study_instance_uid") or raster_study_uid
            study = _study_for(
                actor=actor, patient=patient, uid=uid, header=incoming.header, described=described
            )
            image = _image_add(actor=actor, study=study, incoming=incoming)
            receipts.append(Receipt(incoming.original_name, FileOutcome.STORED, image=image))
        incoming.delete()
    return receipts


def _study_for(
    *, actor: User, patient: Patient, uid: str, header: dict[str, Any], described: dict[str, Any]
) -> Study:
    study = (
        Study.objects.select_related("patient", "site")
        .filter(site=patient.site, study_instance_uid=uid)
        .first()
    )
    if study is not None:
        if study.patient_id != patient.pk:
            raise NotPossible(
                "This file belongs to a study of another patient. Choose that patient, or ask an administrator to look into it."
            )
        return study
    study = Study(
        site=patient.site,
        patient=patient,
        study_instance_uid=uid,
        accession_number=header.get("accession_number") or described["accession_number"],
        study_description=header.get("study_description") or described["study_description"],
        performed_at=_performed_at(header, patient.site) or described["performed_at"],
        priority=described["priority"],
        submitted_by=actor,
    )
    try:
        study.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise NotPossible("; ".join(error.messages)) from error
    study.save(force_insert=True)
    audit_record(
        actor=actor, action=AuditAction.STUDY_CREATED, site=study.site, patient=patient, target=study
    )
    return study


def _performed_at(header: dict[str, Any], site: Site) -> dt.datetime | None:
    """DICOM Study Date and Time are local to the hospital (PS3.3 C.7.2.1), so they are read in the site's zone."""
    if not header.get("study_date"):
        return None
    day = dt.date.fromisoformat(header["study_date"])
    time = dt.time.fromisoformat(header["study_time"]) if header.get("study_time") else dt.time()
    return dt.datetime.combine(day, time.replace(tzinfo=None), tzinfo=site.tzinfo)


def _image_add(*, actor: User, study: Study, incoming: IncomingFile) -> Image:
    header = incoming.header
    image = Image(
        site=study.site,
        study=study,
        uploaded_by=incoming.uploaded_by,
        original_name=incoming.original_name,
        kind=incoming.kind,
        sha256=incoming.sha256,
        size=incoming.size,
        rows=incoming.rows,
        columns=incoming.columns,
        file=incoming.file.name,
        preview=incoming.preview.name,
        thumbnail=incoming.thumbnail.name,
        header=header,
        sop_instance_uid=header.get("sop_instance_uid", ""),
        modality=header.get("modality", ""),
        body_part_examined=header.get("body_part_examined", ""),
        view_position=header.get("view_position", ""),
        laterality=header.get("laterality", ""),
    )
    image.save(force_insert=True)
    study_apply(study=study, event=StudyEvent.IMAGE_ADDED)
    audit_record(
        actor=actor, action=AuditAction.IMAGE_STORED, site=study.site, patient=study.patient, target=image
    )
    prediction_request(actor=actor, image=image)
    return image


def study_open(*, actor: User, study: Study) -> Study:
    """Put on record that ``actor`` looked at this study."""
    policies.require(actor, policies.Act.VIEW_RECORDS, study.site)
    audit_record(
        actor=actor, action=AuditAction.STUDY_VIEWED, site=study.site, patient=study.patient, target=study
    )
    return study


def image_download(*, actor: User, image: Image) -> Image:
    """Put on record that ``actor`` took the original file."""
    policies.require(actor, policies.Act.VIEW_RECORDS, image.site)
    audit_record(
        actor=actor,
        action=AuditAction.IMAGE_DOWNLOADED,
        site=image.site,
        patient=image.study.patient,
        target=image,
    )
    return image
