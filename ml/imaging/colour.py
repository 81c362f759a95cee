"""Colour samples that hold a grey image, and those that do not."""

import numpy as np
from numpy.typing import NDArray

from ml.imaging.refusals import refusal

#: The most by which the channels of one pixel may differ, of 255. A grey picture saved as a colour JPEG
#: (quality 30 to 95) comes back without any difference; the tolerance is for one that was also scaled or
#: edited in colour. A coloured mark differs by far more.
CHANNEL_TOLERANCE = 8


def grey_of_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the grey samples (rows, columns) of an RGB array (rows, columns, 3) whose channels agree.

    Raises `ImageRefused("not_grey")` where the channels of any pixel differ by more than `CHANNEL_TOLERANCE`.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    if int((highest - lowest).max()) > CHANNEL_TOLERANCE:
        raise refusal("not_grey")
    # Luma of ITU-R BT.601 in fixed point; the weights add up to 65536, so equal channels come out unchanged.
    return (
        (red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471) + 32768) >> 16
    ).astype(np.uint8)
