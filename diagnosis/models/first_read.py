"""A reader's own read, locked before the second opinion was shown, and the moment at which it was shown."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.models.site import ReadingProtocol


class Confidence(models.TextChoices):
    """How sure a reader is of the label, in the words of the diagnostic certainty scale of Shinagare et al. 2020.

    Its two lower steps deny a finding, and here the label is what the reader holds to be most probable. Three steps for a
    label and three against it make an ordered scale of six: as good for an ROC analysis as one of 101 (Hadjiiski 2007).
    """

    MAY_BE = "may_be", gettext_lazy("May be")
    LIKELY = "likely", gettext_lazy("Likely")
    MOST_LIKELY = "most_likely", gettext_lazy("Most likely")


class FirstRead(models.Model):
    """What one reader says of one set of images without the network. Rows are only ever added, by a database trigger.

    Images that come later make another set: they need a first read of their own before their second opinion is shown.
    """

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="first_reads")
    reader = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="first_reads")
    label = models.CharField(max_length=64)
    label_display = models.CharField(max_length=100, help_text="The label's name as the reader saw it.")
    confidence = models.CharField(max_length=16, choices=Confidence)
    protocol = models.CharField(
        max_length=16, choices=ReadingProtocol, help_text="The site's when it was locked."
    )
    images = models.ManyToManyField(
        "diagnosis.Image", through="diagnosis.FirstReadImage", related_name="first_reads"
    )
    image_set = models.CharField(
        max_length=64,
        help_text="sha256 over the sorted ids of those of the images that the network is asked about.",
    )
    started_at = models.DateTimeField(
        null=True,
        help_text="When this reader first opened the study with these images, where that is on record.",
    )
    locked_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["locked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "reader", "image_set"], name="first_read_once_per_reader_and_images"
            ),
            models.CheckConstraint(condition=~models.Q(label=""), name="first_read_has_label"),
            models.CheckConstraint(
                condition=models.Q(confidence__in=Confidence.values), name="first_read_confidence_known"
            ),
            models.CheckConstraint(
                condition=models.Q(protocol__in=ReadingProtocol.values), name="first_read_protocol_known"
            ),
        ]

    def __str__(self) -> str:
        return f"First read {self.pk}"


class FirstReadImage(models.Model):
    """An image that the network is asked about and that was there when the first read was locked. Only ever added."""

    first_read = models.ForeignKey(FirstRead, on_delete=models.PROTECT, related_name="image_rows")
    image = models.ForeignKey("diagnosis.Image", on_delete=models.PROTECT, related_name="first_read_rows")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first_read", "image"], name="first_read_image_once"),
        ]

    def __str__(self) -> str:
        return f"Image {self.image_id} of first read {self.first_read_id}"


class OpinionReveal(models.Model):
    """The moment at which the second opinion was shown to the reader of a first read. Rows are only ever added."""

    site_lookup = "first_read__study__site"

    first_read = models.OneToOneField(
        FirstRead, primary_key=True, on_delete=models.PROTECT, related_name="reveal"
    )
    seen_predictions = models.JSONField(
        help_text="What was shown: list of {prediction, label, possible_labels, model_version}; no label, no opinion."
    )
    revealed_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Second opinion shown to the reader of first read {self.first_read_id}"
