"""What the page says of a picture that is one of several in its file."""

from __future__ import annotations

from django.utils.translation import gettext as _

from diagnosis.models import Image


def frame_shown(image: Image) -> str:
    """“frame 1 of 20”; empty for a file of one frame."""
    count = image.number_of_frames or 1
    return _("frame 1 of %(count)s") % {"count": count} if count > 1 else ""
