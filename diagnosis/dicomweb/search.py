"""QIDO-RS: which studies, series and instances match (PS3.18 10.6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.db.models import Case, DateField, Exists, F, OuterRef, Q, QuerySet, TimeField, When
from django.db.models.functions import TruncDate, TruncTime

from diagnosis.dicomweb import attributes, queries
from diagnosis.dicomweb.instances import instances_visible_to
from diagnosis.dicomweb.queries import Key, Matcher, Query
from diagnosis.models import Image, Site, Study, User


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Results as DICOM JSON; ``has_more`` where the records hold others after these."""

    results: list[dict[str, Any]]
    has_more: bool


def _modalities(_field: str, value: str) -> Q:
    served = Image.objects.filter(study=OuterRef("pk"), kind="dicom")
    return Q(Exists(served.filter(queries.any_of("modality", value))))


def _modalities_of_study_of(_field: str, value: str) -> Q:
    served = Image.objects.filter(study=OuterRef("study"), kind="dicom")
    return Q(Exists(served.filter(queries.any_of("modality", value))))


def _study_keys(path: str) -> dict[str, Key]:
    """PS3.18 Table 10.6.1-5, as far as the records know; ``path`` leads from the searched rows to the study."""
    copies = Image.objects.filter(study=OuterRef("study" if path else "pk")).exclude(stored_sha256="")

    def said(match: Matcher) -> Matcher:
        """De-identified instances do not say it: to find them by what the record knows would say whose they are."""
        return lambda field, value: match(field, value) & ~Q(Exists(copies))

    return {
        "StudyDate": Key("local_date", said(queries.date)),
        "StudyTime": Key("local_time", said(queries.time)),
        "AccessionNumber": Key(f"{path}accession_number", said(queries.text)),
        "ModalitiesInStudy": Key("", _modalities_of_study_of if path else _modalities),
        "PatientName": Key(f"{path}patient__person_name", said(queries.person_name)),
        "PatientID": Key(f"{path}patient__mrn", said(queries.text)),
        "PatientBirthDate": Key(f"{path}patient__birth_date", said(queries.date)),
        "PatientSex": Key(f"{path}patient__sex", said(queries.any_of)),
        "StudyDescription": Key(f"{path}study_description", said(queries.text)),
        "StudyInstanceUID": Key(f"{path}study_instance_uid", queries.uids),
    }


STUDY_KEYS = _study_keys("")
SERIES_KEYS = {
    **_study_keys("study__"),
    "Modality": Key("modality", queries.any_of),
    "SeriesInstanceUID": Key("series_instance_uid", queries.uids),
    "SeriesNumber": Key("series_number", queries.number),
    "BodyPartExamined": Key("body_part_examined", queries.any_of),
}
INSTANCE_KEYS = {
    **SERIES_KEYS,
    "SOPClassUID": Key("sop_class_uid", queries.uids),
    "SOPInstanceUID": Key("sop_instance_uid", queries.uids),
    "InstanceNumber": Key("instance_number", queries.number),
}


def studies(user: User, query: Query, base_url: str) -> Found:
    """The matching studies of the person's hospitals that hold DICOM instances, newest first."""
    served = instances_visible_to(user)
    rows: QuerySet[Study] = Study.objects.visible_to(user)
    rows = _with_local_time(rows, user, "").filter(
        Exists(served.order_by().filter(study=OuterRef("pk"))), query.conditions
    )
    page, has_more = _page(rows.select_related("patient", "site").order_by("-created_at", "-id"), query)
    images = _by_study(served, [study.pk for study in page])
    return Found(
        [
            attributes.study_attributes(
                study, images[study.pk], f"{base_url}/studies/{study.study_instance_uid}"
            )
            for study in page
        ],
        has_more,
    )


def series(user: User, query: Query, base_url: str, *, study_uid: str = "") -> Found:
    """The matching series; without ``study_uid`` of all studies, each with the attributes of its study."""
    served = instances_visible_to(user)
    rows = (
        _matching(served, user, query, study_uid=study_uid)
        .order_by("-study__created_at", "study_id", "series_instance_uid")
        .values("study_id", "series_instance_uid", "study__created_at")
        .distinct()
    )
    page, has_more = _page(rows, query)
    images = _by_study(served, [row["study_id"] for row in page])
    results = []
    for row in page:
        of_study = images[row["study_id"]]
        of_series = [image for image in of_study if image.series_instance_uid == row["series_instance_uid"]]
        study_url = f"{base_url}/studies/{of_study[0].study.study_instance_uid}"
        results.append(
            {
                **_parents(query, not study_uid, of_study, study_url),
                **attributes.series_attributes(of_series, f"{study_url}/series/{row['series_instance_uid']}"),
            }
        )
    return Found(results, has_more)


def instances(user: User, query: Query, base_url: str, *, study_uid: str = "", in_series: str = "") -> Found:
    """The matching instances; where the address names no study or no series, with the attributes of these."""
    served = instances_visible_to(user)
    rows = _matching(served, user, query, study_uid=study_uid, in_series=in_series)
    page, has_more = _page(rows.order_by("-study__created_at", "created_at", "id"), query)
    images = _by_study(served, [image.study_id for image in page])
    results = []
    for image in page:
        of_study = images[image.study_id]
        of_series = [other for other in of_study if other.series_instance_uid == image.series_instance_uid]
        study_url = f"{base_url}/studies/{image.study.study_instance_uid}"
        series_url = f"{study_url}/series/{image.series_instance_uid}"
        result = _parents(query, not study_uid, of_study, study_url)
        if not in_series or query.includes(SERIES_KEYS):
            result |= attributes.series_attributes(of_series, series_url)
        result |= attributes.instance_attributes(image, f"{series_url}/instances/{image.sop_instance_uid}")
        results.append(result)
    return Found(results, has_more)


def _parents(query: Query, wanted: bool, of_study: Sequence[Image], url: str) -> dict[str, Any]:
    if not wanted and not query.includes(STUDY_KEYS):
        return {}
    return attributes.study_attributes(of_study[0].study, of_study, url)


def _matching(
    served: QuerySet[Image], user: User, query: Query, *, study_uid: str, in_series: str = ""
) -> QuerySet[Image]:
    rows = _with_local_time(served, user, "study__")
    if study_uid:
        rows = rows.filter(study__study_instance_uid=study_uid)
    if in_series:
        rows = rows.filter(series_instance_uid=in_series)
    return rows.filter(query.conditions)


def _with_local_time(rows: QuerySet[Any], user: User, path: str) -> QuerySet[Any]:
    """Study Date and Time as the clocks of the hospital had it, which is what DICOM means (PS3.3 C.7.2.1)."""
    moment = F(f"{path}performed_at")
    sites = list(Site.objects.visible_to(user))
    return rows.alias(
        local_date=Case(
            *(When(site=site, then=TruncDate(moment, tzinfo=site.tzinfo)) for site in sites),
            output_field=DateField(),
        ),
        local_time=Case(
            *(When(site=site, then=TruncTime(moment, tzinfo=site.tzinfo)) for site in sites),
            output_field=TimeField(),
        ),
    )


def _page(rows: QuerySet[Any], query: Query) -> tuple[list[Any], bool]:
    found = list(rows[query.offset : query.offset + query.limit + 1])
    return found[: query.limit], len(found) > query.limit


def _by_study(served: QuerySet[Image], studies: Sequence[Any]) -> dict[Any, list[Image]]:
    images: dict[Any, list[Image]] = {}
    for image in served.filter(study__in=set(studies)):
        images.setdefault(image.study_id, []).append(image)
    return images
