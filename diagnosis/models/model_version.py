"""Trained models that gave, or give, a second opinion."""

from django.db import models


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
