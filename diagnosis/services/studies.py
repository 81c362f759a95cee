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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible, PatientDiffers, StudyOfOtherPatient
from diagnosis.models import (
    AuditAction,
    HeldFile,
    HeldReason,
    Image,
    IncomingFile,
    Patient,
    Priority,
    ReceivedFile,
    Site,
    Study,
    User,
)
from diagnosis.sentences import Sentence, Words
from diagnosis.services.audit import audit_record
from diagnosis.services.patients import patient_differences
from diagnosis.services.predictions import prediction_request, study_apply
from diagnosis.services.quiet_studies import waits_for_quiet
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

    ``code`` names the reason for programs; ``was_waiting`` tells that the file came before, and waits since. ``image`` is the
    stored one, of a duplicate the one that was there, of a held file the one that it contradicts, if any.
    """

    file_name: str
    outcome: FileOutcome
    reason: Words = ""
    incoming: IncomingFile | None = None
    image: Image | None = None
    code: str = ""
    was_waiting: bool = False
    held: HeldFile | None = None


def delete_files_on_commit(names: Iterable[str]) -> None:
    for name in names:
        transaction.on_commit(functools.partial(default_storage.delete, name))


SAME_BYTES = Sentence(gettext_noop("This file is stored already. Nothing was stored twice."))
SAME_PICTURE = Sentence(
    gettext_noop(
        "This image is stored already, with the same picture and other details around it. The stored one was kept. If the new "
        "details are the right ones, ask an administrator."
    )
)


def stored_twin(*, site: Site, sha256: str, sop_instance_uid: str) -> Image | None:
    """The image at ``site`` with the same bytes, or else with the same SOP Instance UID."""
    same = Q(sha256=sha256)
    if sop_instance_uid:
        same |= Q(sop_instance_uid=sop_instance_uid)
    # Equal bytes are the stronger statement where both match different images.
    twins = sorted(
        Image.objects.filter(same, site=site).select_related("study__patient"),
        key=lambda image: image.sha256 != sha256,
    )
    return twins[0] if twins else None


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
def incoming_file_add(*, actor: User, incoming: IncomingFile) -> None:
    """Keep an examined file, not saved yet, until its uploader has confirmed patient and study."""
    policies.require(actor, policies.Act.UPLOAD, incoming.site)
    incoming.save(force_insert=True)
    audit_record(actor=actor, action=AuditAction.FILE_RECEIVED, site=incoming.site, target=incoming)


def _require_waiting(actor: User, files: Sequence[IncomingFile]) -> None:
    """Lock ``files``, which only their uploader may confirm or discard, and only once.

    Confirmed or discarded twice at once, the second would find the files gone to an image, and delete them.
    """
    if any(incoming.uploaded_by_id != actor.pk for incoming in files):
        raise PermissionDenied(
            Sentence(gettext_noop("Only the person who uploaded a file may confirm or discard it."))
        )
    waiting = IncomingFile.objects.select_for_update().filter(pk__in=[incoming.pk for incoming in files])
    if len(waiting) != len(files):
        raise Conflict(
            _(
                "One of these files was stored or discarded meanwhile. Nothing was changed now: look at the worklist."
            )
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
def incoming_file_hold(
    *, actor: User, incoming: IncomingFile, code: HeldReason, patient: Patient | None
) -> HeldFile:
    """Hold a file that was to be stored at once, and that contradicts ``patient``: an administrator decides.

    Raises ``IntegrityError`` where the same bytes were held at the same moment.
    """
    policies.require(actor, policies.Act.UPLOAD, incoming.site)
    _require_waiting(actor, [incoming])
    held = file_hold(actor=actor, received=incoming, code=code, patient=patient)
    incoming.delete()
    return held


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
            _("A file and its patient belong to different hospitals. Upload the file again at the right one.")
        )
    differing = [incoming for incoming in files if patient_differences(patient, incoming.header)]
    if differing and not differences_accepted:
        raise PatientDiffers(
            Sentence(
                gettext_noop(
                    "The patient named in the file differs from the chosen patient. Compare both, and confirm that they are the "
                    "same person, or choose another patient."
                )
            )
        )
    if performed_at is not None and performed_at > timezone.now():
        raise ValidationError(
            {"performed_at": _("This time lies in the future. Enter when the image was taken.")}
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
        if twin is not None and twin.sha256 == incoming.sha256:
            file_duplicate(actor=actor, image=twin)
            delete_files_on_commit(incoming.stored_names)
            receipts.append(Receipt(incoming.original_name, FileOutcome.DUPLICATE, SAME_BYTES, image=twin))
        elif twin is not None:
            # Came after this one was received: then nobody has compared the pictures yet.
            held = file_hold(actor=actor, received=incoming, code=HeldReason.OTHER_PIXELS, image=twin)
            receipts.append(held_receipt(incoming.original_name, held))
        else:
            study = study_for(
                actor=actor,
                patient=patient,
                uid=incoming.header.get("study_instance_uid") or raster_study_uid,
                header=incoming.header,
                described=described,
            )
            receipts.append(stored_receipt(image_add(actor=actor, study=study, received=incoming)))
        incoming.delete()
    return receipts


def held_receipt(file_name: str, held: HeldFile) -> Receipt:
    return Receipt(
        file_name, FileOutcome.HELD, held.reason, image=held.image, code=held.reason_code, held=held
    )


def stored_receipt(image: Image) -> Receipt:
    """Of an image that is stored; why the network is not asked about it, where that is so."""
    return Receipt(
        image.original_name,
        FileOutcome.STORED,
        image.not_analysed_reason,
        image=image,
        code=image.not_analysed_code,
    )


@transaction.atomic
def file_hold(
    *,
    actor: User,
    received: ReceivedFile,
    code: HeldReason,
    image: Image | None = None,
    patient: Patient | None = None,
) -> HeldFile:
    """Keep ``received``, saved or not, until an administrator has decided; ``image`` or ``patient`` is what it contradicts."""
    held = HeldFile(
        **received.stored_values,
        stored_header=received.stored_header,
        reason_code=code,
        image=image,
        patient=patient,
    )
    held.save(force_insert=True)
    audit_record(
        actor=actor,
        action=AuditAction.FILE_HELD,
        site=held.site,
        patient=patient or (image.study.patient if image else None),
        target=held,
        details={"code": code.value, "road": held.road},
    )
    return held


def study_for(
    *, actor: User, patient: Patient, uid: str, header: dict[str, Any], described: dict[str, Any]
) -> Study:
    """The study with this Study Instance UID at the patient's site, created where there is none.

    Raises ``StudyOfOtherPatient`` where it belongs to somebody else.
    """
    study = (
        Study.objects.select_related("patient", "site")
        .filter(site=patient.site, study_instance_uid=uid)
        .first()
    )
    if study is not None:
        if study.patient_id != patient.pk:
            raise StudyOfOtherPatient(
                Sentence(
                    gettext_noop(
                        "This file belongs to a study of another patient. Choose that patient, or ask an administrator "
                        "to look into it."
                    )
                )
            )
        return study
    study = Study(
        site=patient.site,
        patient=patient,
        study_instance_uid=uid,
        accession_number=header.get("accession_number") or described.get("accession_number", ""),
        study_description=header.get("study_description") or described.get("study_description", ""),
        performed_at=_performed_at(header, patient.site) or described.get("performed_at"),
        priority=described.get("priority", Priority.ROUTINE),
        submitted_by=actor,
    )
    try:
        # Whom and where it belongs to is not what somebody typed: each would be looked up once more.
        study.full_clean(
            exclude=["site", "patient", "submitted_by"], validate_unique=False, validate_constraints=False
        )
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


def header_columns(received: ReceivedFile) -> dict[str, Any]:
    """What a search looks for, out of the header."""
    header = received.header_to_keep
    texts = (
        "sop_class_uid",
        "sop_instance_uid",
        "series_instance_uid",
        "transfer_syntax_uid",
        "modality",
        "body_part_examined",
        "view_position",
        "laterality",
    )
    return {
        **{name: header.get(name, "") for name in texts},
        "series_number": header.get("series_number"),
        "instance_number": header.get("instance_number"),
        "number_of_frames": max(1, header.get("number_of_frames") or 1) if received.rows else None,
    }


def image_add(*, actor: User, study: Study, received: ReceivedFile) -> Image:
    """Make ``received``, saved or not, an image of ``study``, and ask the network about it where it is one to be analysed.

    One that is pushed waits for the others of its study: ``studies_analyse_quiet``.
    """
    values = {
        **received.stored_values,
        **header_columns(received),
        "header": received.header_to_keep,
        "site": study.site,
    }
    image = Image(**values, study=study)
    image.save(force_insert=True)
    study_apply(study=study, event=StudyEvent.IMAGE_ADDED)
    audit_record(
        actor=actor,
        action=AuditAction.IMAGE_STORED,
        site=study.site,
        patient=study.patient,
        target=image,
        details={"road": image.road},
    )
    if not waits_for_quiet(image.road):
        prediction_request(actor=actor, image=image)
    return image


def study_open(*, actor: User, study: Study) -> Study:
    """Put on record that ``actor`` looked at this study."""
    role = policies.require(actor, policies.Act.VIEW_RECORDS, study.site)
    audit_record(
        actor=actor,
        action=AuditAction.STUDY_VIEWED,
        site=study.site,
        patient=study.patient,
        target=study,
        actor_role=role,
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
