"""What becomes of held files: an administrator decides, once for each."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Iterator

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.intake.new_uid import with_new_uid
from diagnosis.models import (
    AuditAction,
    DecodeCrash,
    HeldFile,
    HeldResolution,
    Image,
    IncomingFile,
    Patient,
    Site,
    User,
)
from diagnosis.models.image import ReceivedFile
from diagnosis.services.audit import audit_record
from diagnosis.services.patients import PatientIdentity, patient_add
from diagnosis.services.studies import delete_files_on_commit, image_add, stored_twin, study_for

logger = logging.getLogger(__name__)

#: A file that ended so many decoders is held, and not tried again.
MAX_CRASHES = 2


def decode_crashes(sha256: str) -> int:
    """How often reading this file ended the process that did it."""
    return DecodeCrash.objects.filter(pk=sha256).values_list("count", flat=True).first() or 0


def decode_crash_record(sha256: str) -> int:
    """Count that reading this file ended a decoder; returns how often it did so far."""
    DecodeCrash.objects.get_or_create(pk=sha256)
    DecodeCrash.objects.filter(pk=sha256).update(count=F("count") + 1, last_at=timezone.now())
    return decode_crashes(sha256)


def held_already(*, site: Site, sha256: str) -> HeldFile | None:
    """The file with these bytes that waits for a decision at ``site``."""
    return HeldFile.objects.filter(site=site, sha256=sha256, resolution="").select_related("image").first()


def image_of_held(*, site: Site, sha256: str) -> Image | None:
    """The image that a held file with these bytes became, be it under a SOP Instance UID of its own."""
    held = (
        HeldFile.objects.filter(site=site, sha256=sha256, stored_as__isnull=False)
        .select_related("stored_as__study__patient")
        .first()
    )
    return held.stored_as if held else None


@transaction.atomic
def held_file_open(*, actor: User, held: HeldFile) -> None:
    """Put on record that ``actor`` looked at this file and at what it contradicts. Raises ``PermissionDenied``."""
    if not policies.may_audit(actor, held.site):
        raise PermissionDenied(
            _("Only an administrator of %(site)s may look at its held files.") % {"site": held.site}
        )
    audit_record(
        actor=actor,
        action=AuditAction.HELD_FILE_VIEWED,
        site=held.site,
        patient=held.contradicted_patient,
        target=held,
    )


@transaction.atomic
def held_file_attach(*, actor: User, held: HeldFile) -> Image:
    """Store it with the patient on record whom it contradicts, or with the one of the image that it contradicts: they are the
    same person. Of a picture whose SOP Instance UID another image has, a copy with a UID of its own is stored; the other image
    is not touched.

    Raises ``NotPossible`` where it contradicts nobody, or cannot be stored; ``Conflict`` when somebody decided before.
    """
    held = _locked(actor, held)
    patient = held.contradicted_patient
    if patient is None:
        raise NotPossible(_("Nobody on record is meant. Name the patient by the record number."))
    return _store(actor, held, patient, HeldResolution.ATTACHED)


@transaction.atomic
def held_file_assign(*, actor: User, held: HeldFile, mrn: str) -> Image:
    """Store it with the patient who has the record number ``mrn``; a new one, as the file names him, where there is none.

    Raises as ``held_file_attach``.
    """
    held = _locked(actor, held)
    mrn = mrn.strip()
    patient = Patient.objects.filter(site=held.site, mrn=mrn).first()
    if patient is None:
        said = PatientIdentity.from_header({**held.header, "patient_id": mrn})
        if said is None:
            raise NotPossible(_("A record number is needed: enter that of the patient."))
        try:
            patient = patient_add(actor=actor, site=held.site, identity=said)
        except ValidationError as error:
            raise NotPossible(
                _(
                    "No patient can be made of what the file says: %(problems)s Create the patient first, then name the "
                    "record number here."
                )
                % {"problems": " ".join(error.messages)}
            ) from error
    return _store(actor, held, patient, HeldResolution.OTHER_PATIENT)


@transaction.atomic
def held_file_discard(*, actor: User, held: HeldFile) -> None:
    """Keep neither its bytes nor what it says; that it came, and who discarded it, stays on record."""
    held = _locked(actor, held)
    patient = held.contradicted_patient
    delete_files_on_commit(held.stored_names)
    held.file.name = held.preview.name = held.thumbnail.name = ""
    held.header = held.stored_header = {}
    _resolve(actor, held, HeldResolution.DISCARDED, patient=patient)


def _locked(actor: User, held: HeldFile) -> HeldFile:
    policies.require(actor, policies.Act.RESOLVE_HELD_FILE, held.site)
    locked = (
        HeldFile.objects.select_for_update(of=("self",))
        .select_related("site", "patient", "image__study__patient", "uploaded_by")
        .get(pk=held.pk)
    )
    if not locked.is_open:
        raise Conflict(
            _("%(person)s decided about this file before: %(decision)s. Nothing was changed now.")
            % {"person": locked.resolved_by, "decision": locked.get_resolution_display().lower()}
        )
    return locked


def _store(actor: User, held: HeldFile, patient: Patient, resolution: HeldResolution) -> Image:
    if not held.can_be_stored:
        raise NotPossible(
            _(
                "This file cannot be stored: the same picture is stored already, and one picture is never kept as two patients'. "
                "Discard it; if the stored one is somebody else's, it is that one that has to be corrected."
            )
            if held.image_id
            else _(
                "This file cannot be stored: it could not be read. Discard it, and ask the sender for a new export."
            )
        )
    uid = "" if held.needs_new_uid else held.header.get("sop_instance_uid", "")
    if stored_twin(site=held.site, sha256=held.sha256, sop_instance_uid=uid) is not None:
        raise NotPossible(_("This image was stored meanwhile. Discard the held file."))
    study = study_for(
        actor=actor,
        patient=patient,
        uid=held.header.get("study_instance_uid") or f"2.25.{uuid.uuid4().int}",
        header=held.header,
        described={},
    )
    if held.needs_new_uid:
        with _copy_with_new_uid(held) as copy:
            held.stored_as = image_add(actor=actor, study=study, received=copy)
    else:
        held.stored_as = image_add(actor=actor, study=study, received=held)
    # Of a de-identified copy, what the original said was needed for the decision alone.
    held.header = held.header_to_keep
    _resolve(actor, held, resolution, patient=patient)
    return held.stored_as


@contextlib.contextmanager
def _copy_with_new_uid(held: HeldFile) -> Iterator[ReceivedFile]:
    """An unsaved row of the copy; ``held`` keeps the bytes as they came. Where the caller raises, the copy goes."""
    with held.file.open("rb") as file:
        content = file.read()
    try:
        copy, uid = with_new_uid(content, at=timezone.now())
    except Exception as error:
        logger.warning("No copy of a held file could be made: %s", type(error).__name__)
        raise NotPossible(
            _(
                "No copy of this file with a SOP Instance UID of its own could be made. Discard it, and ask the sender "
                "to send the "
                "image again under a new one."
            )
        ) from error
    digest = hashlib.sha256(copy).hexdigest()
    name = default_storage.save(f"originals/{digest}-{uuid.uuid4().hex}", ContentFile(copy))
    values = {
        **held.stored_values,
        "file": name,
        "size": len(copy),
        "header": {**held.header, "sop_instance_uid": uid},
    }
    if held.is_deidentified:
        values |= {
            "stored_sha256": digest,
            "stored_header": {**held.stored_header, "sop_instance_uid": uid},
        }
    else:
        values["sha256"] = digest
    try:
        yield IncomingFile(**values)
    except BaseException:
        default_storage.delete(name)
        raise


def _resolve(actor: User, held: HeldFile, resolution: HeldResolution, *, patient: Patient | None) -> None:
    held.resolution, held.resolved_by, held.resolved_at = resolution, actor, timezone.now()
    held.save()
    details = {"code": held.reason_code, "resolution": resolution.value}
    if held.stored_as is not None:
        details["image"] = str(held.stored_as.pk)
    audit_record(
        actor=actor,
        action=AuditAction.HELD_FILE_RESOLVED,
        site=held.site,
        patient=patient,
        target=held,
        details=details,
    )
