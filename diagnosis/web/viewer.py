"""What the viewer of the study page begins with: which images there are, and where each comes from. Nothing of a prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from diagnosis.models import Image, Study, User
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.viewing import Edges, earlier_studies, edges, frame_source
from diagnosis.services.openings import opening_ticket
from diagnosis.web.frames import frame_shown

#: A reader compares with the last ones; all others stand on the timeline.
MOST_EARLIER = 8


@dataclass(frozen=True, slots=True)
class ViewerImage:
    """One image that can be shown. ``name`` is “Image 2, PA”."""

    number: int
    image: Image
    study: Study

    @property
    def name(self) -> str:
        return ", ".join(
            part
            for part in (
                _("Image %(number)s") % {"number": self.number},
                self.image.view_position,
                frame_shown(self.image),
            )
            if part
        )

    @property
    def edges(self) -> Edges:
        return edges(self.image)

    @property
    def told(self) -> dict[str, Any]:
        """For the script."""
        source = frame_source(self.image, self.study)
        return {
            "id": str(self.image.pk),
            "study": str(self.study.pk),
            "name": self.name,
            "rows": self.image.rows,
            "columns": self.image.columns,
            "preview": reverse("web:preview", args=[self.image.pk]),
            "viewing": reverse("web:viewing", args=[self.image.pk]),
            "frame": f"{reverse('dicomweb:studies').removesuffix('studies')}{source.wado_path}"
            if source.wado_path
            else reverse("web:samples", args=[self.image.pk]),
            "mediaType": source.media_type,
            "transferSyntax": source.transfer_syntax,
            "edges": dataclasses.asdict(self.edges),
        }


@dataclass(frozen=True, slots=True)
class ViewerStudy:
    """A study in the viewer. ``day`` is that of its images."""

    study: Study
    images: list[ViewerImage]

    @property
    def day(self) -> str:
        return date_format(timezone.localtime(self.study.time), "j M Y")


@dataclass(frozen=True, slots=True)
class Viewer:
    """``first`` is the image to begin with; none where there is no picture. ``opening`` is the ticket of this opening."""

    opening: str
    current: ViewerStudy
    earlier: list[ViewerStudy]
    first: ViewerImage | None

    @property
    def told(self) -> list[dict[str, Any]]:
        return [image.told | {"day": shown.day} for shown in self._all() for image in shown.images]

    def _all(self) -> Iterator[ViewerStudy]:
        yield self.current
        yield from self.earlier


def viewer_of(user: User, case: CaseRecord, first: Image | None) -> Viewer:
    """The images of a study and of the patient's earlier studies, as far as there are pictures of them."""
    current = _shown(case.study)
    earlier = [_shown(other) for other in earlier_studies(case)[:MOST_EARLIER]]
    return Viewer(
        opening_ticket(actor=user, study=case.study),
        current,
        earlier,
        next((image for image in current.images if first and image.image == first), None),
    )


def _shown(study: Study) -> ViewerStudy:
    images = [
        ViewerImage(number, image, study)
        for number, image in enumerate(study.images.all(), start=1)
        if image.is_shown
    ]
    return ViewerStudy(study, images)
