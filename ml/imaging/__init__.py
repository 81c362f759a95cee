"""File or DICOM data set to grey pixels: the one path that viewer, thumbnail and network share
(docs/pixels.md).
"""

from ml.imaging.image import DEFAULT_LIMITS, CheckedImage, GreyImage, Limits
from ml.imaging.kinds import SNIFF_BYTES, FileKind, sniff
from ml.imaging.loading import check_image, check_object, load_image
from ml.imaging.refusals import REFUSALS, ImageRefused, gettext_noop, refusal
from ml.imaging.render import THUMBNAIL_SIDE, render_jpeg, render_jpegs, render_png, render_views

__all__ = [
    "DEFAULT_LIMITS",
    "REFUSALS",
    "SNIFF_BYTES",
    "THUMBNAIL_SIDE",
    "CheckedImage",
    "FileKind",
    "GreyImage",
    "ImageRefused",
    "Limits",
    "check_image",
    "check_object",
    "gettext_noop",
    "load_image",
    "refusal",
    "render_jpeg",
    "render_jpegs",
    "render_png",
    "render_views",
    "sniff",
]
