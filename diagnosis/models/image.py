"""Stored images, and files that wait for a person to say whose they are."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis.models.burnt_in import BURNT_IN_SENTENCES, BurntInText, burnt_in_text
from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.sentences import Sentence, Words


class ImageKind(models.TextChoices):
    DICOM = "dicom", gettext_lazy("DICOM")
    PNG = "png", gettext_lazy("PNG")
    JPEG = "jpeg", gettext_lazy("JPEG")
    TIFF = "tiff", gettext_lazy("TIFF")


class Road(models.TextChoices):
    """The road by which a file came in."""

    WEB = "web", gettext_lazy("Web page")
    API = "api", gettext_lazy("REST API")
    C_STORE = "c_store", gettext_lazy("DICOM C-STORE")
    STOW = "stow", gettext_lazy("DICOMweb STOW-RS")
    COMMAND = "command", gettext_lazy("Bulk import")
    RETRIEVE = "retrieve", gettext_lazy("Retrieved from a PACS")


class NotAnalysed(models.TextChoices):
    """Why an object that belongs to a study is kept there and not shown to the network."""

    WRONG_MODALITY = "wrong_modality", gettext_lazy("Another kind of examination")
    STRUCTURED_REPORT = "structured_report", gettext_lazy("A report, not a picture")
    NO_PICTURE = "no_picture", gettext_lazy("No picture")
    SEVERAL_FRAMES = "several_frames", gettext_lazy("Several frames")
    FOR_PROCESSING = "for_processing", gettext_lazy("A detector's raw data")
    LATERAL = "lateral", gettext_lazy("A lateral view")
    OTHER_VIEW = "other_view", gettext_lazy("Another view")
    OTHER_BODY_PART = "other_body_part", gettext_lazy("Another part of the body")


_READ_WITHOUT = Sentence(gettext_noop("There is no second opinion on it: look at it yourself."))
_KEPT_ONLY = Sentence(gettext_noop("It is kept with the study and can be downloaded, but not shown here."))

#: What it is, why the network is not asked, what to do.
NOT_ANALYSED_SENTENCES: Mapping[NotAnalysed, Sentence] = {
    NotAnalysed.WRONG_MODALITY: Sentence(
        gettext_noop(
            "This is no plain X-ray image (CT, MR, ultrasound or another kind), and the network knows chest "
            "X-rays alone. {read_without}"
        ),
        read_without=_READ_WITHOUT,
    ),
    NotAnalysed.STRUCTURED_REPORT: Sentence(
        gettext_noop("This is a structured report, not a picture. {kept_only}"), kept_only=_KEPT_ONLY
    ),
    NotAnalysed.NO_PICTURE: Sentence(
        gettext_noop("This object of the study holds no picture. {kept_only}"), kept_only=_KEPT_ONLY
    ),
    NotAnalysed.SEVERAL_FRAMES: Sentence(
        gettext_noop(
            "This file holds several frames, and the network looks at single images. It is kept with the study and can be "
            "downloaded; at most its first frame is shown here. If one of them is the chest X-ray, send that image as a file of "
            "its own."
        )
    ),
    NotAnalysed.FOR_PROCESSING: Sentence(
        gettext_noop(
            "This is the detector's raw data (“FOR PROCESSING”), which is not meant to be looked at. "
            "{kept_only} Send the processed image of the same exposure."
        ),
        kept_only=_KEPT_ONLY,
    ),
    NotAnalysed.LATERAL: Sentence(
        gettext_noop(
            "This is a chest from the side, and the network was trained on frontal views (PA and AP) alone. "
            "{read_without}"
        ),
        read_without=_READ_WITHOUT,
    ),
    NotAnalysed.OTHER_VIEW: Sentence(
        gettext_noop(
            "This is an oblique or lying view, and the network was trained on frontal views (PA and AP) "
            "alone. {read_without}"
        ),
        read_without=_READ_WITHOUT,
    ),
    NotAnalysed.OTHER_BODY_PART: Sentence(
        gettext_noop(
            "The file says that it shows another part of the body, and the network knows the chest alone. "
            "{read_without}"
        ),
        read_without=_READ_WITHOUT,
    ),
}


class StoredFile(models.Model):
    """One file in private storage with its two renderings. ``sha256`` is of the bytes as they came, ``size`` of what is stored.

    What cannot be shown (a report) has no renderings, and neither rows nor columns where it holds no picture. Of several frames
    the renderings show the first.
    """

    site_lookup = "site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="+")
    uploaded_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    original_name = models.CharField(
        max_length=255, help_text="The name that the sender's file had. Shown, never used as a path."
    )
    kind = models.CharField(max_length=8, choices=ImageKind)
    sha256 = models.CharField(max_length=64)
    stored_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="Of the de-identified copy that is stored; empty where the file is stored as it came.",
    )
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    rows = models.PositiveIntegerField(null=True)
    columns = models.PositiveIntegerField(null=True)
    file = models.FileField(max_length=200)
    preview = models.FileField(max_length=200, blank=True)
    thumbnail = models.FileField(max_length=200, blank=True)
    header = models.JSONField(
        default=dict, help_text="What was read from the DICOM header; empty for PNG, JPEG and TIFF."
    )
    road = models.CharField(max_length=8, choices=Road, default=Road.WEB, help_text="How the file came in.")
    not_analysed_code = models.CharField(
        max_length=32,
        choices=NotAnalysed,
        blank=True,
        help_text="Why the network is not asked about it; empty where it is.",
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def stored_names(self) -> list[str]:
        return [str(field.name) for field in (self.file, self.preview, self.thumbnail) if field.name]

    @property
    def stored_values(self) -> dict[str, Any]:
        """What describes the file, for a row of another kind that takes it over."""
        values = {
            field.name: getattr(self, field.name) for field in StoredFile._meta.fields if field.name != "id"
        }
        return {**values, **{name: values[name].name for name in ("file", "preview", "thumbnail")}}

    @property
    def is_deidentified(self) -> bool:
        """Whether a de-identified copy is stored in place of what came."""
        return bool(self.stored_sha256)

    @property
    def burnt_in_warning(self) -> Words:
        """The sentence about text in the pixels: where the file says that there is some, and of a de-identified copy unless it
        says that there is none. Empty where nothing is to be said.
        """
        text = burnt_in_text(self.header)
        return BURNT_IN_SENTENCES[text] if text is BurntInText.SAID or self.is_deidentified else ""

    @property
    def is_shown(self) -> bool:
        """Whether there is a picture of it to show."""
        return bool(self.preview.name)

    @property
    def is_analysed(self) -> bool:
        """Whether the network is asked about it."""
        return not self.not_analysed_code

    @property
    def not_analysed_reason(self) -> Words:
        """The sentence for the person; empty where the network is asked."""
        return NOT_ANALYSED_SENTENCES[NotAnalysed(self.not_analysed_code)] if self.not_analysed_code else ""


def stored_file_constraints(prefix: str) -> list[models.BaseConstraint]:
    return [
        models.CheckConstraint(condition=models.Q(kind__in=ImageKind.values), name=f"{prefix}_kind_known"),
        models.CheckConstraint(condition=models.Q(road__in=Road.values), name=f"{prefix}_road_known"),
        models.CheckConstraint(
            condition=models.Q(not_analysed_code__in=["", *NotAnalysed.values]),
            name=f"{prefix}_not_analysed_code_known",
        ),
        models.CheckConstraint(
            condition=models.Q(preview="", thumbnail="")
            | (
                ~models.Q(preview="")
                & ~models.Q(thumbnail="")
                # A check that comes out as unknown passes: NULL is not more than 0, and not less.
                & models.Q(rows__gt=0, rows__isnull=False, columns__gt=0, columns__isnull=False)
            ),
            name=f"{prefix}_shown_has_all_renderings",
        ),
    ]


class ReceivedFile(StoredFile):
    """A file about which a person is to decide. Where a de-identified copy is stored, ``header`` keeps what came says of its
    patient until then, and bears the UIDs of the copy.
    """

    stored_header = models.JSONField(
        default=dict,
        blank=True,
        help_text="What the de-identified copy says; empty where there is none, and for PNG and JPEG.",
    )

    class Meta:
        abstract = True

    @property
    def header_to_keep(self) -> dict[str, Any]:
        """What is kept of the header once the file is an image."""
        header: dict[str, Any] = self.stored_header if self.is_deidentified else self.header
        return header


class IncomingFile(ReceivedFile):
    """An examined file that waits until its uploader confirms the patient and the study."""

    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["received_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["uploaded_by", "site", "sha256"], name="incoming_file_once_per_uploader"
            ),
            *stored_file_constraints("incoming_file"),
        ]

    def __str__(self) -> str:
        return f"Incoming file {self.pk}"


class Image(StoredFile):
    """One object of a study: an X-ray, or what came with it and is only kept."""

    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="images")
    sop_class_uid = models.CharField(max_length=64, blank=True)
    sop_instance_uid = models.CharField(
        max_length=64, blank=True, help_text="Empty for PNG, JPEG and TIFF, like the other elements of DICOM."
    )
    series_instance_uid = models.CharField(max_length=64, blank=True)
    series_number = models.IntegerField(null=True)
    instance_number = models.IntegerField(null=True)
    transfer_syntax_uid = models.CharField(max_length=64, blank=True, help_text="Of the file as it is kept.")
    number_of_frames = models.PositiveIntegerField(null=True, help_text="Empty for what holds no picture.")
    modality = models.CharField(max_length=16, blank=True)
    body_part_examined = models.CharField(max_length=64, blank=True)
    view_position = models.CharField(max_length=16, blank=True)
    laterality = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["site", "sha256"], name="image_bytes_unique_at_site"),
            models.UniqueConstraint(
                fields=["site", "sop_instance_uid"],
                condition=~models.Q(sop_instance_uid=""),
                name="image_sop_instance_uid_unique_at_site",
            ),
            *stored_file_constraints("image"),
            models.CheckConstraint(
                # What the network is asked about was decoded to the last pixel.
                condition=~models.Q(not_analysed_code="") | ~models.Q(preview=""),
                name="image_analysed_is_shown",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "series_instance_uid"], name="image_by_series"),
        ]

    def __str__(self) -> str:
        return f"Image {self.pk}"
