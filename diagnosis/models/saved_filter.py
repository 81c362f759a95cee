"""The views of the worklist that a person keeps."""

from django.db import models

MOST_SAVED_FILTERS = 12


class SavedFilter(models.Model):
    """A named view of the worklist. ``query`` holds choices alone: never what was searched for, which may be a name.

    A deleted one stays until the next is saved, so that the deletion can be undone.
    """

    user = models.ForeignKey("diagnosis.User", on_delete=models.CASCADE, related_name="saved_filters")
    name = models.CharField(max_length=40)
    query = models.JSONField(
        default=dict, help_text="Name of the choice → value, as in the worklist's address."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                condition=models.Q(deleted_at__isnull=True),
                name="saved_filter_name_once_per_user",
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="saved_filter_has_name"),
        ]

    def __str__(self) -> str:
        return self.name
