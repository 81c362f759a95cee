"""When a study that a modality pushes is complete: nobody says so, but nothing more comes for a while."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from diagnosis.models import FINAL_STATUSES, Image, Prediction, Road, Study, StudyStatus, User
from diagnosis.services.predictions import prediction_request

#: Roads on which a study comes image by image, without a sign of its last one.
PUSHED = (Road.C_STORE,)


def waits_for_quiet(road: str) -> bool:
    """Whether an image of this road is analysed with its study, and not by itself at once."""
    return road in PUSHED and settings.CXR_STUDY_QUIET_SECONDS > 0


def studies_analyse_quiet(*, actor: User) -> int:
    """Ask for the network's opinion on the pushed images of every study to which nothing came for the quiet time.

    What waits is found in the rows, so nothing is forgotten by a process that ends. Returns how many studies it were.
    """
    quiet_since = timezone.now() - dt.timedelta(seconds=settings.CXR_STUDY_QUIET_SECONDS)
    pushed = Image.objects.filter(study=OuterRef("pk"), road__in=PUSHED)
    unfinished = Prediction.objects.filter(image__study=OuterRef("pk")).exclude(status__in=FINAL_STATUSES)
    studies = Study.objects.filter(
        # One that holds nothing to analyse is settled here too: then it is for its reader.
        Exists(_to_ask_about(pushed)) | ~Exists(unfinished),
        Exists(pushed),
        ~Exists(pushed.filter(created_at__gt=quiet_since)),
        status=StudyStatus.ANALYSING,
    )
    keys = list(studies.values_list("pk", flat=True))
    for key in keys:
        with transaction.atomic():
            # Two rounds at once: the second waits here, and then finds nothing left to ask for.
            study = Study.objects.select_for_update().get(pk=key)
            images = Image.objects.filter(study=study, road__in=PUSHED)
            for image in images.select_related("study__site", "study__patient", "site"):
                prediction_request(actor=actor, image=image)
    return len(keys)


def _to_ask_about(images: QuerySet[Image]) -> QuerySet[Image]:
    return images.filter(~Exists(Prediction.objects.filter(image=OuterRef("pk"))), not_analysed_code="")
