"""What a search answers: records as data sets in the DICOM JSON model (PS3.18 F.2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

from diagnosis.models import Image, Study


def study_attributes(study: Study, images: Sequence[Image], url: str) -> dict[str, Any]:
    """PS3.18 Table 10.6.3-3; ``images`` are the instances of the study that are served, not none.

    Of de-identified instances it says no more than these say themselves, whatever the record knows.
    """
    is_deidentified = any(image.is_deidentified for image in images)
    return _json(
        **(_NOT_SAID if is_deidentified else _record_attributes(study)),
        SpecificCharacterSet="ISO_IR 192",
        StudyDate=_date(images[0].header.get("study_date")),
        StudyTime=_time(images[0].header.get("study_time")),
        InstanceAvailability="ONLINE",
        ModalitiesInStudy=sorted({image.modality for image in images if image.modality}),
        RetrieveURL=url,
        StudyInstanceUID=study.study_instance_uid,
        NumberOfStudyRelatedSeries=len({image.series_instance_uid for image in images}),
        NumberOfStudyRelatedInstances=len(images),
    )


_NOT_SAID = dict.fromkeys(
    ("AccessionNumber", "StudyDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"), ""
)


def _record_attributes(study: Study) -> dict[str, Any]:
    birth_date = study.patient.birth_date
    return {
        "AccessionNumber": study.accession_number,
        "StudyDescription": study.study_description,
        "PatientName": study.patient.person_name,
        "PatientID": study.patient.mrn,
        "PatientBirthDate": birth_date.strftime("%Y%m%d") if birth_date else "",
        "PatientSex": study.patient.sex,
    }


def series_attributes(images: Sequence[Image], url: str) -> dict[str, Any]:
    """PS3.18 Table 10.6.3-4; ``images`` are the instances of the series, not none."""
    return _json(
        Modality=images[0].modality,
        BodyPartExamined=images[0].body_part_examined,
        SeriesNumber=images[0].series_number,
        RetrieveURL=url,
        SeriesInstanceUID=images[0].series_instance_uid,
        NumberOfSeriesRelatedInstances=len(images),
    )


def instance_attributes(image: Image, url: str) -> dict[str, Any]:
    """PS3.18 Table 10.6.3-5."""
    pixels = (
        {"Rows": image.rows, "Columns": image.columns, "NumberOfFrames": image.number_of_frames}
        if image.number_of_frames
        else {}
    )
    return _json(
        SOPClassUID=image.sop_class_uid,
        SOPInstanceUID=image.sop_instance_uid,
        InstanceNumber=image.instance_number,
        InstanceAvailability="ONLINE",
        AvailableTransferSyntaxUID=image.transfer_syntax_uid,
        RetrieveURL=url,
        **pixels,
    )


def _json(**elements: Any) -> dict[str, Any]:
    """The elements by their keywords; an unknown value is an empty element."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds.to_json_dict()


def _date(text: str | None) -> str:
    return dt.date.fromisoformat(text).strftime("%Y%m%d") if text else ""


def _time(text: str | None) -> str:
    if not text:
        return ""
    time = dt.time.fromisoformat(text)
    return time.strftime("%H%M%S.%f") if time.microsecond else time.strftime("%H%M%S")
