"""A stored instance as a picture for the screen (PS3.18 8.3.5), by the one path of pixels that all share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID
from rest_framework.exceptions import NotAcceptable, ValidationError

from diagnosis.dicomweb.instances import read
from diagnosis.dicomweb.negotiation import JPEG
from diagnosis.intake.renderings import rendering_open
from diagnosis.limits import image_limits
from diagnosis.models import Image
from ml.imaging import ImageRefused, load_image, render_jpeg, render_png
from ml.imaging.decoders import decode
from ml.imaging.dicom import grey_scale, photometric_interpretation, sample_format
from ml.imaging.grey_scale import Window, WindowFunction, display_values
from ml.imaging.loading import refusing

#: PS3.18 Table 8.3.5-1, its values in lower case.
WINDOW_FUNCTIONS = {
    "linear": WindowFunction.LINEAR,
    "linear-exact": WindowFunction.LINEAR_EXACT,
    "sigmoid": WindowFunction.SIGMOID,
}
LARGEST_VIEWPORT = 8192


@dataclasses.dataclass(frozen=True, slots=True)
class Rendering:
    """How a picture is asked for: ``quality`` 1 to 100 of a JPEG, ``max_side`` in pixels, ``window`` in place of the file's."""

    media_type: str
    quality: int = 90
    max_side: int | None = None
    window: Window | None = None

    @classmethod
    def of(cls, media_type: str, query: Mapping[str, str]) -> Rendering:
        """Raises ``ValidationError`` that names the parameter and what it may be."""
        return cls(
            media_type,
            quality=_quality(query["quality"]) if "quality" in query else 90,
            max_side=_viewport(query["viewport"]) if "viewport" in query else None,
            window=_window(query["window"]) if "window" in query else None,
        )


def _quality(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 100):
        raise ValidationError({"quality": "Send a whole number from 1 to 100."})
    return int(text)


def _viewport(text: str) -> int:
    """The viewport's shorter side bounds the picture, which keeps its shape; a part of an image is not cut out here."""
    sides = text.split(",")
    if len(sides) != 2 or not all(
        side.isascii() and side.isdigit() and 1 <= int(side[:6]) <= LARGEST_VIEWPORT for side in sides
    ):
        raise ValidationError(
            {"viewport": f"Send its width and height, two whole numbers from 1 to {LARGEST_VIEWPORT}."}
        )
    return min(int(side) for side in sides)


def _window(text: str) -> Window:
    center, width, name = ([*text.split(","), "", ""])[:3]
    try:
        window = Window(float(center), float(width), WINDOW_FUNCTIONS[name.lower()])
        if not window.is_valid or text.count(",") != 2 or not math.isfinite(window.center):
            raise ValueError
    except (KeyError, ValueError):
        raise ValidationError(
            {
                "window": "Send centre, width and function, such as 2048,4096,linear; the function is linear, linear-exact "
                "or sigmoid."
            }
        ) from None
    return window


def render(image: Image, rendering: Rendering) -> bytes:
    """The picture. Raises ``NotAcceptable`` with the reason where the instance cannot be shown as one."""
    if not image.is_shown:
        raise NotAcceptable(
            f"This instance cannot be shown as a picture. {image.not_analysed_reason}".strip()
        )
    if rendering == Rendering(JPEG):
        with rendering_open(image.preview) as file:
            return bytes(file.read())
    try:
        if rendering.window is None:
            with image.file.open("rb") as file:
                pixels = load_image(file.read(), limits=image_limits(), first_frame=True).pixels
        else:
            with refusing():
                pixels = _windowed(image, rendering.window)
    except ImageRefused as refusal:
        raise NotAcceptable(f"This instance cannot be shown as a picture. {refusal}") from None
    if rendering.media_type == JPEG:
        return render_jpeg(pixels, rendering.max_side, rendering.quality)
    return render_png(pixels, rendering.max_side)


def _windowed(image: Image, window: Window) -> NDArray[np.float32]:
    """Grey pixels with ``window``, in units of the modality step, where the file has its own (PS3.4 N.2.1)."""
    ds = read(image, pixels=True)
    bits_stored, signed = sample_format(ds)
    scale = grey_scale(ds, photometric_interpretation(ds), bits_stored)
    scale = dataclasses.replace(scale, voi=window)
    return display_values(decode(ds, UID(image.transfer_syntax_uid)), scale, bits_stored, signed)
