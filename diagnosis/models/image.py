"""Stored images, and files that wait for a person to say whose they are."""

import uuid

from django.db import models

from diagnosis.models.scoped import SiteScopedQuerySet


class ImageKind(models.TextChoices):
    DICOM = "dicom", "DICOM"
    PNG = "png", "PNG"
    JPEG = "jpeg", "JPEG"


class Road(models.TextChoices):
    """The road by which a file came in."""

    WEB = "web", "Web page"
    API = "api", "REST API"
    C_STORE = "c_store", "DICOM C-STORE"
    STOW = "stow", "DICOMweb STOW-RS"
    COMMAND = "command", "Bulk import"
    RETRIEVE = "retrieve", "Retrieved from a PACS"


class StoredFile(models.Model):
    """One file in private storage with its two renderings. ``sha256`` is of the bytes as they came."""

    site_lookup = "site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="+")
    uploaded_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    original_name = models.CharField(
        max_length=255, help_text="The name that the sender's file had. Shown, never used as a path."
    )
    kind = models.CharField(max_length=8, choices=ImageKind)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    file = models.FileField(max_length=200)
    preview = models.FileField(max_length=200)
    thumbnail = models.FileField(max_length=200)
    header = models.JSONField(
        default=dict, help_text="What was read from the DICOM header; empty for PNG and JPEG."
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def stored_names(self) -> list[str]:
        return [str(field.name) for field in (self.file, self.preview, self.thumbnail)]


class IncomingFile(StoredFile):
    """An examined file that waits until its uploader confirms the patient and the study."""

    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["received_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["uploaded_by", "site", "sha256"], name="incoming_file_once_per_uploader"
            ),
        ]

    def __str__(self) -> str:
        return f"Incoming file {self.pk}"


class Image(StoredFile):
    """One image of a study."""

    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="images")
    sop_instance_uid = models.CharField(max_length=64, blank=True, help_text="Empty for PNG and JPEG.")
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
            models.CheckConstraint(condition=models.Q(kind__in=ImageKind.values), name="image_kind_known"),
        ]

    def __str__(self) -> str:
        return f"Image {self.pk}"
