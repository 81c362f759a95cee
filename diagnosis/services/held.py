"""What becomes of held files: an administrator decides, once for each."""

from __future__ import annotations

import uuid

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditAction,
    DecodeCrash,
    HeldFile,
    HeldResolution,
    Image,
    Patient,
    Site,
    User,
)
from diagnosis.services.audit import audit_record
from diagnosis.services.patients import PatientIdentity, patient_add
from diagnosis.services.studies import delete_files_on_commit, image_add, stored_twin, study_for

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


@transaction.atomic
def held_file_open(*, actor: User, held: HeldFile) -> None:
    """Put on record that ``actor`` looked at this file and at what it contradicts. Raises ``PermissionDenied``."""
    if not policies.may_audit(actor, held.site):
        raise PermissionDenied(f"Only an administrator of {held.site} may look at its held files.")
    audit_record(
        actor=actor,
        action=AuditAction.HELD_FILE_VIEWED,
        site=held.site,
        patient=_patient_of(held),
        target=held,
    )


@transaction.atomic
def held_file_attach(*, actor: User, held: HeldFile) -> Image:
    """Store it with the patient on record whom it contradicts: they are the same person.

    Raises ``NotPossible`` where it contradicts nobody, or cannot be stored; ``Conflict`` when somebody decided before.
    """
    held = _locked(actor, held)
    if held.patient is None:
        raise NotPossible(_("Nobody on record is meant. Name the patient by the record number."))
    return _store(actor, held, held.patient, HeldResolution.ATTACHED)


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
                f"No patient can be made of what the file says: {' '.join(error.messages)} Create the patient first, then name "
                "the record number here."
            ) from error
    return _store(actor, held, patient, HeldResolution.OTHER_PATIENT)


@transaction.atomic
def held_file_discard(*, actor: User, held: HeldFile) -> None:
    """Keep neither its bytes nor what it says; that it came, and who discarded it, stays on record."""
    held = _locked(actor, held)
    patient = _patient_of(held)
    delete_files_on_commit(held.stored_names)
    held.file.name = held.preview.name = held.thumbnail.name = ""
    held.header = {}
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
            f"{locked.resolved_by} decided about this file before: {locked.get_resolution_display().lower()}. "
            "Nothing was changed now."
        )
    return locked


def _store(actor: User, held: HeldFile, patient: Patient, resolution: HeldResolution) -> Image:
    if not held.can_be_stored:
        raise NotPossible(
            "This file cannot be stored: "
            + (
                "another image has its SOP Instance UID. Discard it, or ask the sender to give it one of its own."
                if held.image_id
                else "it could not be read. Discard it, and ask the sender for a new export."
            )
        )
    twin = stored_twin(
        site=held.site, sha256=held.sha256, sop_instance_uid=held.header.get("sop_instance_uid", "")
    )
    if twin is not None:
        raise NotPossible(_("This image was stored meanwhile. Discard the held file."))
    study = study_for(
        actor=actor,
        patient=patient,
        uid=held.header.get("study_instance_uid") or f"2.25.{uuid.uuid4().int}",
        header=held.header,
        described={},
    )
    held.stored_as = image_add(actor=actor, study=study, received=held)
    _resolve(actor, held, resolution, patient=patient)
    return held.stored_as


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


def _patient_of(held: HeldFile) -> Patient | None:
    return held.patient or (held.image.study.patient if held.image else None)
