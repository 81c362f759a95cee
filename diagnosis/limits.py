"""What this installation reads of one image at most: at the upload, in the worker, and for a header alike."""

import dataclasses

from django.conf import settings

from ml.imaging import DEFAULT_LIMITS, Limits


def image_limits() -> Limits:
    """The limits of ``ml.imaging`` with this installation's ``CXR_MAX_UPLOAD_BYTES``."""
    return dataclasses.replace(DEFAULT_LIMITS, max_bytes=settings.CXR_MAX_UPLOAD_BYTES)
