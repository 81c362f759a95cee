"""What the network takes of an image is made by the decoder that has its pixels, while the image is stored: for the first opinion
on it nobody decodes it a second time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from diagnosis import inference
from diagnosis.intake.analysable import why_not_analysed
from diagnosis.intake.examine import ExaminedFile
from diagnosis.models import Site
from diagnosis.services.reduced import reduced_drop, reduced_has_room, reduced_keep

#: A decoder that takes longer is not waited for: the worker then decodes the file itself.
WAIT_SECONDS = 2


class Reducing:
    """A ``Reduction`` of the file with this hash, which is kept for the worker."""

    def __init__(self, site: Site, sha256: str) -> None:
        self._site, self._sha256 = site, sha256
        self._sizes: Sequence[int] = ()
        self._thread: threading.Thread | None = None

    def sizes(self, examined: ExaminedFile) -> Sequence[int]:
        # Of a de-identified copy it is the copy that the network sees.
        is_wanted = (
            examined.is_shown
            and not self._site.stores_deidentified
            and why_not_analysed(examined.header) is None
        )
        self._sizes = inference.input_sizes() if is_wanted and reduced_has_room() else ()
        return self._sizes

    def begin(self, squares: Callable[[], list[bytes]]) -> None:
        self._thread = threading.Thread(target=self._keep, args=(squares,), name="reducing")
        self._thread.start()

    def _keep(self, squares: Callable[[], list[bytes]]) -> None:
        made = {
            size: np.frombuffer(content, np.float32).reshape(size, size)
            for size, content in zip(self._sizes, squares(), strict=False)
        }
        if made:
            reduced_keep(sha256=self._sha256, squares=made)

    def wait(self) -> None:
        """Until it is kept, for the worker is about to hear of the image."""
        if self._thread is not None:
            self._thread.join(WAIT_SECONDS)

    def drop(self) -> None:
        """Of an image that was not stored."""
        if self._thread is not None:
            self._thread.join()
            reduced_drop(sha256=self._sha256)
