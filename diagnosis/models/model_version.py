"""Trained models that gave, or give, a second opinion."""

from __future__ import annotations

import re

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_noop

#: Names of labels that the portal's own networks give, so that they can be said in other languages. Those of others stay as
#: their cards have them.
LABEL_NAMES = (
    gettext_noop("COVID-19"),
    gettext_noop("Normal"),
    gettext_noop("Viral Pneumonia"),
    gettext_noop("Bacterial Pneumonia"),
    gettext_noop("Other disease"),
)

PICTURE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class ModelVersion(models.Model):
    """One trained model, pinned by the sha256 of its card, which in turn pins every file of its folder."""

    name = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64, unique=True)
    labels = models.JSONField(help_text="List of {code, display} in the order of the network's outputs.")
    card = models.JSONField()
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="model_version_unique"),
            models.UniqueConstraint(
                fields=["is_active"], condition=models.Q(is_active=True), name="model_version_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def label_display(self, code: str) -> str:
        """The label's name for people; the code itself when this model does not know it."""
        return next((label["display"] for label in self.labels if label["code"] == code), code)


class ModelPicture(models.Model):
    """A picture of a model's card, kept from the verified folder: it stays when the folder on disk is replaced."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="pictures")
    name = models.CharField(max_length=64, validators=[RegexValidator(f"^{PICTURE_NAME.pattern}$")])
    sha256 = models.CharField(max_length=64, help_text="As the card names it.")
    content = models.BinaryField(help_text="A PNG.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["model_version", "name"], name="model_picture_once_per_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.model_version}"
