"""Reports: the draft of the caller, addenda, corrections, and the report on paper."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis import policies
from diagnosis.api.schema import errors, file_of
from diagnosis.api.serializers.reports import (
    AddendumSerializer,
    CorrectionSerializer,
    ReportDraftSaveSerializer,
    ReportDraftSerializer,
    ReportDraftVersionSerializer,
)
from diagnosis.api.serializers.studies import ReviewSerializer
from diagnosis.api.views.base import PortalView
from diagnosis.models import Review, Study
from diagnosis.selectors.reports import own_draft
from diagnosis.selectors.studies import reviews_shown
from diagnosis.services.report_drafts import report_draft_discard, report_draft_save
from diagnosis.services.report_opening import report_print
from diagnosis.services.reports import review_addend, review_correct


class _BelowStudy(PortalView):
    """An address below that of a study."""

    def study(self, pk: UUID) -> Study:
        return get_object_or_404(
            Study.objects.visible_to(self.person).select_related("site", "patient"), pk=pk
        )

    def sent(self, serializer: type[Any], request: Request) -> dict[str, Any]:
        checked = serializer(data=request.data, context={"request": request})
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def signed(self, review: Review) -> Response:
        shown = reviews_shown(Review.objects.filter(pk=review.pk), viewer=self.person).get()
        return Response(ReviewSerializer(shown).data, status=201)


class ReportDraftView(_BelowStudy):
    serializer_class = ReportDraftSerializer

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({"version"}) if self.request.method == "DELETE" else frozenset()

    @extend_schema(
        operation_id="report_draft_retrieve",
        summary="Your unsigned report",
        responses={200: ReportDraftSerializer, **errors(403, 404)},
        tags=["reports"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """404 where you have written none. Nobody else is shown it."""
        study = self.study(pk)
        policies.require(self.person, policies.Act.SIGN_REVIEW, study.site)
        draft = own_draft(self.person, study)
        if draft is None:
            raise Http404
        return Response(self.get_serializer(draft).data)

    @extend_schema(
        operation_id="report_draft_save",
        summary="Save your unsigned report",
        request=ReportDraftSaveSerializer,
        responses={200: ReportDraftSerializer, **errors(400, 403, 404, 409)},
        tags=["reports"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """What is left out stays. 409: it was saved elsewhere meanwhile; nothing was overwritten."""
        study = self.study(pk)
        draft = report_draft_save(
            author=self.person, study=study, **self.sent(ReportDraftSaveSerializer, request)
        )
        return Response(self.get_serializer(draft).data)

    @extend_schema(
        operation_id="report_draft_discard",
        summary="Discard your unsigned report",
        parameters=[
            OpenApiParameter("version", int, required=True, description="Of the draft as you know it.")
        ],
        responses={204: None, **errors(400, 403, 404, 409)},
        tags=["reports"],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        """404 where you have written none. 409: it was saved elsewhere meanwhile; nothing was discarded."""
        study = self.study(pk)
        policies.require(self.person, policies.Act.SIGN_REVIEW, study.site)
        if own_draft(self.person, study) is None:
            raise Http404
        checked = ReportDraftVersionSerializer(data=request.query_params.dict())
        checked.is_valid(raise_exception=True)
        report_draft_discard(author=self.person, study=study, **checked.validated_data)
        return Response(status=204)


class AddendumView(_BelowStudy):
    serializer_class = ReviewSerializer

    @extend_schema(
        operation_id="reviews_addend",
        summary="Add to a signed report",
        request=AddendumSerializer,
        responses={201: ReviewSerializer, **errors(400, 403, 404, 409)},
        tags=["reports"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """A new version that repeats the report and adds a text. 409: a newer version was signed meanwhile."""
        study = self.study(pk)
        policies.require(self.person, policies.Act.SIGN_REVIEW, study.site)
        values = self.sent(AddendumSerializer, request)
        return self.signed(review_addend(actor=self.person, study=study, **{"addendum": "", **values}))


class CorrectionView(_BelowStudy):
    serializer_class = ReviewSerializer

    @extend_schema(
        operation_id="reviews_correct",
        summary="Correct a signed report",
        request=CorrectionSerializer,
        responses={201: ReviewSerializer, **errors(400, 403, 404, 409)},
        tags=["reports"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """A new version; what was signed stays. 409: a newer version was signed meanwhile."""
        study = self.study(pk)
        policies.require(self.person, policies.Act.SIGN_REVIEW, study.site)
        values = self.sent(CorrectionSerializer, request)
        return self.signed(review_correct(actor=self.person, study=study, **values))


class ReportPdfView(PortalView):
    serializer_class = None

    @extend_schema(
        operation_id="reviews_pdf",
        summary="One version of a report on paper",
        responses={**file_of("application/pdf"), **errors(400, 404)},
        tags=["reports"],
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """On record. It holds of the second opinion what you may see of it."""
        reviews = Review.objects.visible_to(self.person).select_related("study__site", "study__patient")
        content = report_print(actor=self.person, review=get_object_or_404(reviews, pk=pk))
        return HttpResponse(content, content_type="application/pdf")
