"""What this installation reads of one image at most: at the upload, in the worker, and for a header alike."""

from django.conf import settings

from ml.imaging import Limits


def image_limits() -> Limits:
    """The limits of ``ml.imaging`` with this installation's ``CXR_MAX_UPLOAD_BYTES`` and ``CXR_MAX_PIXELS``."""
    return Limits(max_bytes=settings.CXR_MAX_UPLOAD_BYTES, max_pixels=settings.CXR_MAX_PIXELS)
