"""The network's second opinion on one image."""

import uuid

from django.db import models
from django.utils.translation import gettext, gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.sentences import SentenceField


class PredictionStatus(models.TextChoices):
    QUEUED = "queued", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    DONE = "done", gettext_lazy("Done")
    FAILED = "failed", gettext_lazy("Failed")
    REFUSED = "refused", gettext_lazy("Refused")


FINAL_STATUSES = (PredictionStatus.DONE, PredictionStatus.FAILED, PredictionStatus.REFUSED)


def unsure_display(displays: list[str]) -> str:
    """“Unsure: COVID-19 or Normal”."""
    *first, last = displays
    return gettext("Unsure: %(labels)s or %(last_label)s") % {"labels": ", ".join(first), "last_label": last}


class Prediction(models.Model):
    """One image by one model version. The row is the job; the broker's message is only a hint to look at it."""

    site_lookup = "image__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey("diagnosis.Image", on_delete=models.PROTECT, related_name="predictions")
    model_version = models.ForeignKey(
        "diagnosis.ModelVersion", on_delete=models.PROTECT, related_name="predictions"
    )
    status = models.CharField(
        max_length=8, choices=PredictionStatus, default=PredictionStatus.QUEUED, editable=False
    )
    probabilities = models.JSONField(default=dict, help_text="Label code → probability in 0..1.")
    operating_point = models.JSONField(
        default=dict, help_text="The rule that turned probabilities into the label."
    )
    label = models.CharField(max_length=64, blank=True, help_text="The label with the highest probability.")
    possible_labels = models.JSONField(
        default=list,
        help_text="The codes that the model cannot rule out, in the order of its outputs; more than one: it is unsure.",
    )
    activation_maps = models.BinaryField(
        null=True, help_text="float32 array (labels, rows, columns) as .npy: the raw class-activation maps."
    )
    timings = models.JSONField(default=dict, help_text="Milliseconds for each step.")
    reason = SentenceField(
        max_length=500, blank=True, help_text="Why it failed or was refused, for the person who reads it."
    )
    refusal_code = models.CharField(
        max_length=64, blank=True, help_text="Why an image was refused, for a program: a code of ml.imaging."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(
        null=True, help_text="A running analysis whose lease has run out is taken up again."
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["requested_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["image", "model_version"], name="prediction_once_per_model_version"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=PredictionStatus.values), name="prediction_status_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status="done")
                | (~models.Q(label="") & models.Q(activation_maps__isnull=False)),
                name="prediction_done_has_label_and_maps",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="done") | models.Q(possible_labels__0__isnull=False),
                name="prediction_done_has_possible_labels",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=["failed", "refused"]) | ~models.Q(reason=""),
                name="prediction_failure_has_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["queued_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="prediction_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"Prediction {self.pk}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def is_done(self) -> bool:
        return self.status == PredictionStatus.DONE

    @property
    def is_refused(self) -> bool:
        return self.status == PredictionStatus.REFUSED

    @property
    def is_unsure(self) -> bool:
        """Whether the model cannot rule out a second label."""
        return len(self.possible_labels) > 1

    @property
    def can_run_again(self) -> bool:
        """A model refuses the same image again, so only another one is worth asking."""
        if self.is_refused:
            return not self.model_version.is_active
        return self.status == PredictionStatus.FAILED

    @property
    def label_display(self) -> str:
        return self.model_version.label_display(self.label)

    @property
    def possible_displays(self) -> list[str]:
        return [self.model_version.label_display(code) for code in self.possible_labels]

    @property
    def opinion_display(self) -> str:
        """What the model says, in words: its label, or the labels that it is unsure between."""
        return (
            unsure_display([gettext(name) for name in self.possible_displays])
            if self.is_unsure
            else gettext(self.label_display)
        )

    @property
    def scores(self) -> list[tuple[str, str, float]]:
        """(code, display, probability) in the order of the network's outputs."""
        return [
            (label["code"], label["display"], self.probabilities[label["code"]])
            for label in self.model_version.labels
            if label["code"] in self.probabilities
        ]
