"""A file that nobody looks at comes in: whose is it, and may it be stored?"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import NotPossible, PatientDiffers, StudyOfOtherPatient
from diagnosis.models import HeldReason, Image, ImageKind, Patient, ReceivedFile, Study, User
from diagnosis.sentences import Sentence
from diagnosis.services.patients import PatientIdentity, patient_differences, patient_identify_or_create
from diagnosis.services.studies import (
    SAME_BYTES,
    SAME_PICTURE,
    FileOutcome,
    Receipt,
    file_duplicate,
    file_hold,
    held_receipt,
    image_add,
    stored_receipt,
    stored_twin,
    study_for,
)


class PatientNotNamed(NotPossible):
    """Neither the sender nor the file says whose image it is."""

    code = "patient_not_named"


class StoredForOtherPatient(NotPossible):
    """The sender says that a picture is of somebody else than the one for whom it is stored."""

    code = "stored_for_other_patient"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the sender says about a file that does not say it itself: whose it is, and of which study."""

    identity: PatientIdentity | None = None
    study_instance_uid: str = ""
    performed_at: dt.datetime | None = None
    study_description: str = ""
    accession_number: str = ""

    @property
    def study(self) -> dict[str, Any]:
        return {
            "performed_at": self.performed_at,
            "study_description": self.study_description,
            "accession_number": self.accession_number,
        }


def require_same_patient(known: Receipt, described: Described) -> None:
    """Raise ``StoredForOtherPatient`` where a picture that is stored already is now said to be somebody else's.

    A picture says nothing itself, so two statements are all there is; a DICOM file's own header was compared when it came first.
    """
    image, said = known.image, described.identity
    if image is None or said is None or image.kind == ImageKind.DICOM:
        return
    if image.study.patient.mrn != said.mrn.strip():
        raise StoredForOtherPatient(
            Sentence(
                gettext_noop(
                    "This picture is stored already, for another patient. Nothing was changed. Check whose it is: if "
                    "the first was "
                    "wrong, ask an administrator."
                )
            )
        )


@transaction.atomic
def file_take_in(
    *,
    actor: User,
    received: ReceivedFile,
    described: Described,
    same_picture_as: Image | None = None,
    before_messages: Callable[[], None] | None = None,
) -> Receipt:
    """Store an examined file, not saved yet, as an image of the study that it names; or hold it where it contradicts the record.

    ``before_messages`` is called once all is committed, and before a worker hears of the image.

    What its header says of the patient comes first, and ``described`` after it. Held, and never merged silently: another
    picture under a known SOP Instance UID (``same_picture_as`` is the stored image that was found to show the same), another
    name, birth date or sex under a known record number, a study that belongs to somebody else, a DICOM file that names nobody.

    Raises ``PatientNotNamed`` for a picture that nobody says whose it is; ``PatientDiffers`` and ``ValidationError`` where it is
    ``described`` that contradicts the record or cannot be true, so that its sender corrects it; ``PermissionDenied``; and
    ``IntegrityError`` where the same patient, study or image was stored at the same moment: try again.
    """
    policies.require(actor, policies.Act.UPLOAD, received.site)
    if before_messages is not None:
        transaction.on_commit(before_messages)
    twin = stored_twin(
        site=received.site,
        sha256=received.sha256,
        sop_instance_uid=received.header.get("sop_instance_uid", ""),
    )
    if twin is not None:
        return _known(actor, received, twin, same_picture_as)
    in_file = PatientIdentity.from_header(received.header)
    identity = in_file or described.identity
    if identity is None:
        if received.kind != ImageKind.DICOM:
            raise PatientNotNamed(
                Sentence(
                    gettext_noop(
                        "The file does not say whose image it is. Send the patient with it: the record number, or an "
                        "existing patient."
                    )
                )
            )
        return _hold(actor, received, HeldReason.PATIENT_NOT_NAMED)
    # PS3.5 B.2: a UID derived from a UUID.
    uid = (
        received.header.get("study_instance_uid")
        or described.study_instance_uid
        or f"2.25.{uuid.uuid4().int}"
    )
    try:
        with transaction.atomic():
            patient = patient_identify_or_create(actor=actor, site=received.site, identity=identity)
            study = study_for(
                actor=actor, patient=patient, uid=uid, header=received.header, described=described.study
            )
    except PatientDiffers:
        if in_file is None:
            raise
        patient = Patient.objects.get(site=received.site, mrn=identity.mrn)
        return _hold(actor, received, HeldReason.PATIENT_DIFFERS, patient=patient)
    except ValidationError:
        if in_file is None:
            raise
        return _hold(actor, received, HeldReason.PATIENT_INVALID)
    except StudyOfOtherPatient:
        # The patient that was new with this file is not kept: the study says that it is somebody else.
        patient = (
            Study.objects.select_related("patient").get(site=received.site, study_instance_uid=uid).patient
        )
        return _hold(actor, received, HeldReason.STUDY_OF_OTHER_PATIENT, patient=patient)
    return stored_receipt(image_add(actor=actor, study=study, received=received))


def why_hold_twin(twin: Image, header: Mapping[str, Any], *, same_picture: bool) -> HeldReason | None:
    """Why a file with other bytes under the SOP Instance UID of ``twin`` is held; ``None`` where it is the same image again.

    The same picture under another patient's name is a correction or a mix-up: neither may be taken for nothing new.
    """
    if not same_picture:
        return HeldReason.OTHER_PIXELS
    return HeldReason.PATIENT_DIFFERS if patient_differences(twin.study.patient, header) else None


def twin_hold(*, actor: User, received: ReceivedFile, twin: Image, code: HeldReason) -> Receipt:
    """Hold a file that ``why_hold_twin`` says is to be held."""
    held = file_hold(actor=actor, received=received, code=code, image=twin, patient=twin.study.patient)
    return held_receipt(received.original_name, held)


def _known(actor: User, received: ReceivedFile, twin: Image, same_picture_as: Image | None) -> Receipt:
    is_same = twin.sha256 == received.sha256
    if not is_same:
        code = why_hold_twin(twin, received.header, same_picture=twin == same_picture_as)
        if code:
            return twin_hold(actor=actor, received=received, twin=twin, code=code)
    file_duplicate(actor=actor, image=twin)
    return Receipt(
        received.original_name, FileOutcome.DUPLICATE, SAME_BYTES if is_same else SAME_PICTURE, image=twin
    )


def _hold(
    actor: User, received: ReceivedFile, code: HeldReason, *, patient: Patient | None = None
) -> Receipt:
    held = file_hold(actor=actor, received=received, code=code, patient=patient)
    return held_receipt(received.original_name, held)
