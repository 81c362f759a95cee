"""Accounts and the role that each has at a site."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.models.site import validate_time_zone


class Role(models.TextChoices):
    DOCTOR = "doctor", gettext_lazy("Doctor")
    RADIOLOGIST = "radiologist", gettext_lazy("Radiologist")
    ADMIN = "admin", gettext_lazy("Administrator")


class User(AbstractUser):
    """A person, or a named system user in whose name background work is done."""

    is_system = models.BooleanField(
        default=False,
        editable=False,
        help_text=gettext_lazy("A background process, not a person. It cannot log in."),
    )
    worklist_view = models.CharField(
        max_length=32,
        blank=True,
        editable=False,
        help_text="The view that the worklist opens with: the key of one that everybody has, or “own-” and the number of a saved "
        "one. Empty: the usual one of the role.",
    )
    language = models.CharField(
        max_length=16,
        blank=True,
        help_text="A code of LANGUAGES, in which the pages speak to this person. Empty: what the browser asks for.",
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text="The clock by which the pages tell this person the time, like Europe/Madrid. Empty: that of the hospital.",
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_system=False) | models.Q(is_staff=False, is_superuser=False),
                name="user_system_has_no_admin_rights",
            ),
        ]

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """The role of one user at one site."""

    site_lookup = "site"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "site"], name="membership_one_role_per_site"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()} · {self.site}"
