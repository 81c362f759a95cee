"""Studies and their reads."""

from __future__ import annotations

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.filters import FilterParameters, SearchParameter, StudyFilter, search_words
from diagnosis.api.pages import StudyPages
from diagnosis.api.schema import errors
from diagnosis.api.serializers.studies import (
    FirstReadLockSerializer,
    ReviewSerializer,
    ReviewSignSerializer,
    StudyDetailSerializer,
    StudySerializer,
)
from diagnosis.api.views.base import ListView, PortalView
from diagnosis.models import Review, Study
from diagnosis.selectors.studies import reviews_shown, studies_found, studies_with_opinion
from diagnosis.services.first_reads import first_read_lock, opinion_reveal
from diagnosis.services.reviews import review_sign
from diagnosis.services.searches import search_record
from diagnosis.services.studies import study_open


class StudyListView(ListView):
    serializer_class = StudySerializer
    queryset = Study.objects.none()
    pagination_class = StudyPages
    filter_backends = [SearchParameter, FilterParameters]
    filterset_class = StudyFilter
    search_description = (
        "Every word must begin a part of the patient's name, the record number or the accession number, or be the study's UID. "
        "Searches are on record."
    )

    @extend_schema(
        operation_id="studies_list",
        summary="The worklist, newest first",
        responses={200: StudySerializer(many=True), **errors(400)},
        tags=["studies"],
    )
    def get(self, request: Request) -> Response:
        query = search_words(request)
        found = [self.filter_queryset(studies) for studies in studies_found(user=self.person, query=query)]
        page = self.paginate_queryset(found)
        response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        search_record(actor=self.person, records="studies", query=query)
        return response


class _OneStudy(PortalView):
    """An address below that of a study."""

    def study(self, pk: UUID) -> Study:
        return get_object_or_404(
            studies_with_opinion(Study.objects.visible_to(self.person), viewer=self.person), pk=pk
        )


class StudyView(_OneStudy):
    serializer_class = StudyDetailSerializer

    @extend_schema(
        operation_id="studies_retrieve",
        summary="Open a study",
        responses={200: StudyDetailSerializer, **errors(404)},
        tags=["studies"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the study."""
        study = study_open(actor=self.person, study=self.study(pk))
        return Response(self.get_serializer(study).data)


class FirstReadView(_OneStudy):
    serializer_class = FirstReadLockSerializer

    @extend_schema(
        operation_id="first_reads_create",
        summary="Lock a first read",
        request=FirstReadLockSerializer,
        responses={201: StudyDetailSerializer, **errors(400, 403, 404, 409)},
        tags=["studies"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Before the second opinion is shown, at a site that reads first; never changed afterwards. The answer is the study,
        with the second opinion where that is complete. 409: images were added, somebody signed, or it is locked already."""
        study = self.study(pk)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        first_read_lock(actor=self.person, study=study, **serializer.validated_data)
        return Response(
            StudyDetailSerializer(self.study(pk), context=self.get_serializer_context()).data, status=201
        )


class RevealView(_OneStudy):
    serializer_class = StudyDetailSerializer

    @extend_schema(
        operation_id="studies_reveal",
        summary="Be shown the second opinion after a first read",
        request=None,
        responses={200: StudyDetailSerializer, **errors(400, 403, 404, 409)},
        tags=["studies"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """For a first read that was locked while the second opinion was on its way. 409: it still is."""
        opinion_reveal(actor=self.person, study=self.study(pk))
        return Response(self.get_serializer(self.study(pk)).data)


class ReviewListView(_OneStudy, ListView):
    serializer_class = ReviewSerializer
    queryset = Review.objects.none()

    @extend_schema(
        operation_id="reviews_list",
        summary="Signed reads of a study, oldest first",
        responses={200: ReviewSerializer(many=True), **errors(400, 404)},
        tags=["studies"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the study."""
        study = study_open(actor=self.person, study=self.study(pk))
        return self.pages_of(reviews_shown(Review.objects.filter(study=study), viewer=self.person))

    @extend_schema(
        operation_id="reviews_create",
        summary="Sign a read",
        request=ReviewSignSerializer,
        responses={201: ReviewSerializer, **errors(400, 403, 404, 409)},
        tags=["studies"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """A signed read is never edited. 409: somebody else signed first, or the second opinion changed; nothing was signed."""
        study = self.study(pk)
        serializer = ReviewSignSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        review = review_sign(actor=self.person, study=study, **serializer.validated_data)
        signed = reviews_shown(Review.objects.filter(pk=review.pk), viewer=self.person).get()
        return Response(ReviewSerializer(signed).data, status=201)
