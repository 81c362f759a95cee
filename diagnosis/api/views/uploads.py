"""Upload in one call."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.schema import errors
from diagnosis.api.serializers.uploads import UploadResultSerializer, UploadSerializer
from diagnosis.api.sites import site_or_only_one
from diagnosis.api.views.base import PortalView
from diagnosis.full_disk import NO_ROOM
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.intake.submit import TECHNICAL_ERROR, Submission, files_submit
from diagnosis.policies import Act
from diagnosis.services.patients import PatientIdentity
from diagnosis.services.studies import FileOutcome, Receipt

_IDENTITY = ("mrn", "person_name", "birth_date", "sex")
_STUDY = ("performed_at", "study_description", "accession_number", "priority")


class UploadView(PortalView):
    parser_classes = [MultiPartParser]
    serializer_class = UploadSerializer

    @extend_schema(
        operation_id="uploads_create",
        summary="Upload X-rays",
        responses={
            201: OpenApiResponse(UploadResultSerializer, "At least one file was stored."),
            200: OpenApiResponse(
                UploadResultSerializer, "None was stored, and at least one is there already."
            ),
            202: OpenApiResponse(
                UploadResultSerializer,
                "None was stored, and at least one is held: it contradicts the record, and an administrator must decide.",
            ),
            422: OpenApiResponse(UploadResultSerializer, "Every file was refused; each says why."),
            503: OpenApiResponse(
                UploadResultSerializer, "No file could be stored for a technical reason. Send them again."
            ),
            507: OpenApiResponse(
                UploadResultSerializer,
                "No file could be stored: the disk is full. Send them again once there is room.",
            ),
            **errors(400, 403, 413),
        },
        tags=["uploads"],
    )
    def post(self, request: Request) -> Response:
        """One bad file never stops the others, and nothing is kept of a refused one. PNG and JPEG files of one call make one
        study; DICOM files go to the study that they name."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        site = site_or_only_one(self.person, Act.UPLOAD, values.get("site"))
        identity = {field: values[field] for field in _IDENTITY if field in values}
        submission = Submission(
            actor=self.person,
            site=site,
            patient=values.get("patient"),
            identity=PatientIdentity(**identity) if identity else None,
            differences_accepted=values["accept_differences"],
            **{field: values[field] for field in _STUDY if field in values},
        )
        receipts = files_submit(submission, values["files"])
        body = {"results": [_result(receipt) for receipt in receipts]}
        return Response(UploadResultSerializer(body).data, status=_status(receipts))


def _result(receipt: Receipt) -> dict[str, Any]:
    image = receipt.image
    return {
        "file": receipt.file_name,
        "status": receipt.outcome,
        "code": receipt.code,
        "reason": str(receipt.reason),
        "image": image.pk if image else None,
        "study": image.study_id if image else None,
        "patient": image.study.patient_id if image else None,
        "held": receipt.held.pk if receipt.held else None,
    }


def _status(receipts: list[Receipt]) -> int:
    outcomes = {receipt.outcome for receipt in receipts}
    if FileOutcome.STORED in outcomes:
        return 201
    codes = {receipt.code for receipt in receipts}
    if NO_ROOM in codes:
        return FULL_DISK
    if TECHNICAL_ERROR in codes:
        return 503
    if FileOutcome.HELD in outcomes:
        return 202
    return 200 if FileOutcome.DUPLICATE in outcomes else 422
