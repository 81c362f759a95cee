"""Where a reader stands with a case by the reading protocol of its site."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from diagnosis import policies
from diagnosis.models import FirstRead, Image, OpinionReveal, ReadingProtocol, Study, User
from diagnosis.models.study import OpinionState
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.studies import SecondOpinion, second_opinion, studies_with_opinion


def image_set_of(images: Iterable[Image]) -> str:
    """Names the images that the network is asked about, whatever it says of them; empty where there is none."""
    analysed = sorted(str(image.pk) for image in images if image.is_analysed)
    return hashlib.sha256(",".join(analysed).encode()).hexdigest() if analysed else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a reader has done with the images that a case holds now. ``image_set`` names them."""

    protocol: ReadingProtocol
    image_set: str
    first_read: FirstRead | None
    reveal: OpinionReveal | None
    is_reader: bool
    is_closed: bool

    @property
    def reads_first(self) -> bool:
        """Whether this reader owes a read of the own before the second opinion: there may be one, and the site hides it."""
        return (
            self.is_reader and self.protocol == ReadingProtocol.READ_FIRST and bool(self.image_set)
        ) and not self.is_closed

    @property
    def awaits_first_read(self) -> bool:
        return self.reads_first and self.first_read is None

    @property
    def awaits_reveal(self) -> bool:
        """Whether the own read is locked, and the second opinion was not shown yet."""
        return self.reads_first and self.first_read is not None and self.reveal is None


def reading_of(user: User, study: Study) -> Reading:
    """Of a study that came through ``studies_with_opinion`` this costs three queries at most."""
    image_set = image_set_of(study.images.all())
    is_reader = policies.may(user, policies.Act.SIGN_REVIEW, study.site)
    first_read = own_first_read(user, study, image_set) if is_reader else None
    return _reading(study, image_set, first_read, is_reader=is_reader)


def reading_in(case: CaseRecord, *, is_reader: bool) -> Reading:
    """Where the person stands who looks at ``case``, without a query: for what is shown. An act asks ``reading_of``."""
    image_set = image_set_of(case.study.images.all())
    first_read = first_read_in(case, image_set) if is_reader else None
    return _reading(case.study, image_set, first_read, is_reader=is_reader)


def first_read_in(case: CaseRecord, image_set: str) -> FirstRead | None:
    """``own_first_read`` of who looks at ``case``, without a query."""
    return next((read for read in case.first_reads if image_set and read.image_set == image_set), None)


def _reading(study: Study, image_set: str, first_read: FirstRead | None, *, is_reader: bool) -> Reading:
    return Reading(
        protocol=ReadingProtocol(study.site.reading_protocol),
        image_set=image_set,
        first_read=first_read,
        reveal=getattr(first_read, "reveal", None) if first_read else None,
        is_reader=is_reader,
        is_closed=study.is_read,
    )


def own_first_read(reader: User, study: Study, image_set: str) -> FirstRead | None:
    """What ``reader`` locked for exactly these images, with its reveal."""
    if not image_set:
        return None
    return (
        FirstRead.objects.select_related("reveal", "reader")
        .filter(study=study, reader=reader, image_set=image_set)
        .first()
    )


def whole_opinion(study: Study) -> SecondOpinion:
    """What the network says, and what is still to come, whoever may see it: never to be shown as it is."""
    return second_opinion(studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=None).get())


def opinion_is_ready(reading: Reading, study: Study) -> bool:
    """Whether there is something to reveal to a reader who waits for it; who has locked nothing is told nothing."""
    return reading.awaits_reveal and study.opinion_state != OpinionState.PENDING
