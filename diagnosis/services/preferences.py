"""How the pages speak to a person. It is the person's own, touches no record, and is not audited."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from diagnosis.models import User
from diagnosis.models.site import validate_time_zone


@transaction.atomic
def preferences_save(*, actor: User, language: str | None = None, time_zone: str | None = None) -> User:
    """Keep what is given; what is None stays. An empty text takes a choice back.

    Raises ``ValidationError`` with field errors for a language that the portal does not speak and for an unknown IANA zone.
    """
    fields = {}
    if language is not None:
        if language and language not in dict(settings.LANGUAGES):
            raise ValidationError({"language": _("The portal does not speak this language.")})
        fields["language"] = language
    if time_zone is not None:
        if time_zone:
            try:
                validate_time_zone(time_zone)
            except ValidationError as error:
                raise ValidationError({"time_zone": error}) from error
        fields["time_zone"] = time_zone
    for name, value in fields.items():
        setattr(actor, name, value)
    # By an update of these fields alone: another tab may be changing the password.
    User.objects.filter(pk=actor.pk).update(**fields)
    return actor
