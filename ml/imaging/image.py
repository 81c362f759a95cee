"""The image that every reader returns, and the limits that every reader keeps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.imaging.kinds import FileKind
from ml.imaging.refusals import refusal


@dataclass(frozen=True)
class Limits:
    """What is read at most. `max_pixels` bounds what a header may declare, before anything is allocated for
    it.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 40_000_000

    @property
    def max_inflated_bytes(self) -> int:
        """How far a deflated data set may expand: its pixels at 16 bits, and as much beside them as a whole file may have."""
        return 2 * self.max_pixels + self.max_bytes

    def check_bytes(self, size: int) -> None:
        """Raise `ImageRefused("too_large")` for a file of more than `max_bytes`."""
        if size > self.max_bytes:
            raise refusal("too_large", limit=f"{self.max_bytes / 1024**2:.0f} MB")

    def check_pixels(self, rows: int, columns: int) -> None:
        """Raise `ImageRefused("too_many_pixels")` for a declared size of more than `max_pixels`."""
        if rows * columns > self.max_pixels:
            raise refusal("too_many_pixels", rows=rows, columns=columns, limit=f"{self.max_pixels:,}")


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class GreyImage:
    """One X-ray image as a radiologist expects to see it, and how it came to be that.

    Attributes:
        pixels: float32 (rows, columns), C-contiguous, read-only, 0 = black to 1 = white (bone is bright).
        kind: what the file was.
        bits_stored: bits of a stored sample.
        photometric_interpretation: DICOM's (0028,0004), or for a raster its mode in Pillow's words.
        transfer_syntax: DICOM's UID, None for a raster.
        grey_mapping: how stored values became grey: `VOI LUT`, `LINEAR 2048/4096`, `stored range`, `values
            present`.
    """

    pixels: NDArray[np.float32]
    kind: FileKind
    bits_stored: int
    photometric_interpretation: str
    transfer_syntax: str | None
    grey_mapping: str

    def __post_init__(self) -> None:
        # Viewer, thumbnail and network share the array: one that changed it would change what the others
        # show.
        self.pixels.flags.writeable = False

    @property
    def rows(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """An image whose every sample was decoded and looked at: nothing about it is left to be refused.

    `pixels` makes the pixels that a `GreyImage` of the same file has, as float32 (rows, columns), each time anew; until then they
    take no memory.
    """

    kind: FileKind
    rows: int
    columns: int
    pixels: Callable[[], NDArray[np.float32]]
