"""Files that are kept, and not in the record: a person must decide first whose or which they are."""

from collections.abc import Mapping

from django.db import models
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis.models.image import ReceivedFile, stored_file_constraints
from diagnosis.models.patient import Patient
from diagnosis.sentences import Sentence


class HeldReason(models.TextChoices):
    """Why a file is held."""

    OTHER_PIXELS = "other_pixels", gettext_lazy("Another picture under a known SOP Instance UID")
    PATIENT_DIFFERS = "patient_differs", gettext_lazy("Patient data that contradict the record")
    STUDY_OF_OTHER_PATIENT = "study_of_other_patient", gettext_lazy("Its study belongs to another patient")
    PATIENT_NOT_NAMED = "patient_not_named", gettext_lazy("No record number")
    PATIENT_INVALID = "patient_invalid", gettext_lazy("Patient data that cannot be true")
    KILLED_DECODER = "killed_decoder", gettext_lazy("Reading it ended the decoder twice")


HELD_SENTENCES: Mapping[HeldReason, Sentence] = {
    HeldReason.OTHER_PIXELS: Sentence(
        gettext_noop(
            "An image with the same SOP Instance UID is stored already and shows something else. The stored "
            "one was kept; this file is held until an administrator has compared both."
        )
    ),
    HeldReason.PATIENT_DIFFERS: Sentence(
        gettext_noop(
            "What the file says about its patient (record number, name, birth date or sex) contradicts the "
            "record. The file is held until an administrator has said whether they are the same person."
        )
    ),
    HeldReason.STUDY_OF_OTHER_PATIENT: Sentence(
        gettext_noop(
            "The study that the file names belongs to another patient. The file is held until an "
            "administrator has said whose it is."
        )
    ),
    HeldReason.PATIENT_NOT_NAMED: Sentence(
        gettext_noop(
            "The file bears no record number. It is held until an administrator has said whose it is."
        )
    ),
    HeldReason.PATIENT_INVALID: Sentence(
        gettext_noop(
            "What the file says about its patient cannot be true (a birth date in the future, for "
            "example). It is held until an administrator has said whose it is."
        )
    ),
    HeldReason.KILLED_DECODER: Sentence(
        gettext_noop(
            "Reading this file ended the decoder twice: it is damaged, or made to do harm. It is kept for "
            "an administrator and is not tried again. Export the image again and send the new file."
        )
    ),
}


class HeldResolution(models.TextChoices):
    """What a person decided."""

    ATTACHED = "attached", gettext_lazy("Stored with the patient on record")
    OTHER_PATIENT = "other_patient", gettext_lazy("Stored with another patient")
    DISCARDED = "discarded", gettext_lazy("Discarded")


class HeldFile(ReceivedFile):
    """A file in quarantine. The row stays when it is resolved; a discarded one keeps no bytes."""

    reason_code = models.CharField(max_length=32, choices=HeldReason)
    image = models.ForeignKey(
        "diagnosis.Image",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The stored image that it contradicts.",
    )
    patient = models.ForeignKey(
        "diagnosis.Patient",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The patient on record whom it contradicts.",
    )
    held_at = models.DateTimeField(auto_now_add=True)
    resolution = models.CharField(max_length=16, choices=HeldResolution, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey("diagnosis.User", null=True, on_delete=models.PROTECT, related_name="+")
    stored_as = models.ForeignKey(
        "diagnosis.Image",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The image that it became.",
    )

    class Meta:
        ordering = ["held_at", "id"]
        constraints = [
            *stored_file_constraints("held_file"),
            models.CheckConstraint(
                condition=models.Q(reason_code__in=HeldReason.values), name="held_file_reason_known"
            ),
            models.CheckConstraint(
                condition=models.Q(resolution__in=["", *HeldResolution.values]),
                name="held_file_resolution_known",
            ),
            models.CheckConstraint(
                condition=models.Q(resolution="", resolved_at__isnull=True, resolved_by__isnull=True)
                | (~models.Q(resolution="") & models.Q(resolved_at__isnull=False, resolved_by__isnull=False)),
                name="held_file_resolved_by_somebody",
            ),
            models.CheckConstraint(
                condition=models.Q(resolution__in=["attached", "other_patient"], stored_as__isnull=False)
                | models.Q(resolution__in=["", "discarded"], stored_as__isnull=True),
                name="held_file_stored_as_an_image",
            ),
            models.CheckConstraint(
                condition=~models.Q(reason_code="other_pixels") | models.Q(image__isnull=False),
                name="held_file_names_the_other_image",
            ),
            models.CheckConstraint(
                condition=~models.Q(reason_code__in=["patient_differs", "study_of_other_patient"])
                | models.Q(patient__isnull=False),
                name="held_file_names_the_patient",
            ),
            models.UniqueConstraint(
                fields=["site", "sha256"], condition=models.Q(resolution=""), name="held_file_once_at_site"
            ),
        ]

    def __str__(self) -> str:
        return f"Held file {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided yet."""
        return not self.resolution

    @property
    def reason(self) -> Sentence:
        return HELD_SENTENCES[HeldReason(self.reason_code)]

    @property
    def contradicted_patient(self) -> Patient | None:
        """The patient on record whom it contradicts, or whose image it contradicts."""
        return self.patient or (self.image.study.patient if self.image else None)

    @property
    def can_be_stored(self) -> bool:
        """Whether it could become an image: not what could not be read, nor the same picture once more under another name."""
        return self.reason_code != HeldReason.KILLED_DECODER and (self.image_id is None or self.needs_new_uid)

    @property
    def needs_new_uid(self) -> bool:
        """Whether another image has its SOP Instance UID, so that it can only be stored as a copy with one of its own."""
        return self.reason_code == HeldReason.OTHER_PIXELS


class DecodeCrash(models.Model):
    """How often reading one file ended the process that did it. After the second time the file is held, not tried again."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveSmallIntegerField(default=0)
    last_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.count} of {self.sha256}"
