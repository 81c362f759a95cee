"""Second reads, discrepancies and critical results."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.schema import errors
from diagnosis.api.serializers.cases import (
    AdjudicationSerializer,
    CommunicationCreateSerializer,
    CriticalFlagSerializer,
    CriticalResultSerializer,
    DiscrepancyNoteSerializer,
    DiscrepancyResolveSerializer,
    DiscrepancySerializer,
    ReasonSerializer,
    SecondReadRequestSerializer,
    SecondReadSerializer,
    SecondReadSignSerializer,
)
from diagnosis.api.views.base import ListView, PortalView
from diagnosis.models import CriticalResult, Discrepancy, SecondRead, Study
from diagnosis.selectors.cases import discrepancies_shown_to
from diagnosis.selectors.critical_results import open_critical_results, with_history
from diagnosis.selectors.second_reads import second_read_queue, with_causes
from diagnosis.services.critical_results import (
    critical_acknowledge,
    critical_cancel,
    critical_flag,
    critical_result_open,
    critical_tell,
)
from diagnosis.services.discrepancies import discrepancy_acknowledge, discrepancy_resolve
from diagnosis.services.second_reads import (
    second_read_adjudicate,
    second_read_cancel,
    second_read_request,
    second_read_return,
    second_read_sign,
    second_read_take,
    second_read_waive,
)

ACT_ERRORS = errors(400, 403, 404, 409)


class _CaseView(PortalView):
    """What the operations on cases share: finding a record that the caller may see, and reading what was sent."""

    def study(self, pk: UUID) -> Study:
        return get_object_or_404(Study.objects.visible_to(self.person).select_related("site"), pk=pk)

    def second_read(self, pk: UUID) -> SecondRead:
        return get_object_or_404(with_causes(SecondRead.objects.visible_to(self.person)), pk=pk)

    def discrepancy(self, pk: UUID) -> Discrepancy:
        return get_object_or_404(_with_moves(discrepancies_shown_to(self.person)), pk=pk)

    def critical_result(self, pk: UUID) -> CriticalResult:
        return get_object_or_404(with_history(CriticalResult.objects.visible_to(self.person)), pk=pk)

    def sent(self, request: Request) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def as_second_read(self, pk: UUID, status: int = 200) -> Response:
        context = self.get_serializer_context()
        return Response(SecondReadSerializer(self.second_read(pk), context=context).data, status=status)

    def as_discrepancy(self, pk: UUID) -> Response:
        return Response(DiscrepancySerializer(self.discrepancy(pk)).data)

    def as_critical_result(self, pk: UUID, status: int = 200) -> Response:
        return Response(CriticalResultSerializer(self.critical_result(pk)).data, status=status)


def _with_moves(rows: QuerySet[Discrepancy]) -> QuerySet[Discrepancy]:
    return rows.select_related("review__study__site").prefetch_related("moves__actor")


class SecondReadListView(ListView):
    serializer_class = SecondReadSerializer
    queryset = SecondRead.objects.none()

    @extend_schema(
        operation_id="second_reads_list",
        summary="Open second reads: those to adjudicate, those to read, the others",
        responses={200: SecondReadSerializer(many=True), **errors(400)},
        tags=["second reads"],
    )
    def get(self, request: Request) -> Response:
        """What the caller may still read second stands by priority and age alone, and without its causes."""
        queue = second_read_queue(self.person)
        page = self.paginate_queryset([*queue.to_adjudicate, *queue.to_read, *queue.others])
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class SecondReadView(_CaseView):
    serializer_class = SecondReadSerializer

    @extend_schema(
        operation_id="second_reads_retrieve",
        summary="One second read",
        responses={200: SecondReadSerializer, **errors(404)},
        tags=["second reads"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.as_second_read(pk)


class SecondReadRequestView(_CaseView):
    serializer_class = SecondReadRequestSerializer

    @extend_schema(
        operation_id="second_reads_request",
        summary="Ask for a second reader",
        responses={201: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        study, values = self.study(pk), self.sent(request)
        row = second_read_request(actor=self.person, study=study, **values)
        return self.as_second_read(row.pk, 201)


class ShowReadView(_CaseView):
    serializer_class = SecondReadSerializer

    @extend_schema(
        operation_id="second_reads_waive",
        summary="See the read of a study that waits for a second reader, and read it second no more",
        request=None,
        responses={204: None, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        second_read_waive(actor=self.person, study=self.study(pk))
        return Response(status=204)


class SecondReadTakeView(_CaseView):
    serializer_class = SecondReadSerializer

    @extend_schema(
        operation_id="second_reads_take",
        summary="Take a second read or an adjudication, for an hour",
        request=None,
        responses={200: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        second_read_take(actor=self.person, second_read=self.second_read(pk))
        return self.as_second_read(pk)


class SecondReadReturnView(_CaseView):
    serializer_class = SecondReadSerializer

    @extend_schema(
        operation_id="second_reads_return",
        summary="Give it back unread",
        request=None,
        responses={200: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        second_read_return(actor=self.person, second_read=self.second_read(pk))
        return self.as_second_read(pk)


class SecondReadSignView(_CaseView):
    serializer_class = SecondReadSignSerializer

    @extend_schema(
        operation_id="second_reads_sign",
        summary="Lock and sign the second read",
        responses={200: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row, values = self.second_read(pk), self.sent(request)
        second_read_sign(actor=self.person, second_read=row, **values)
        return self.as_second_read(pk)


class AdjudicateView(_CaseView):
    serializer_class = AdjudicationSerializer

    @extend_schema(
        operation_id="second_reads_adjudicate",
        summary="Decide between two reads",
        responses={200: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row, values = self.second_read(pk), self.sent(request)
        second_read_adjudicate(actor=self.person, second_read=row, **values)
        return self.as_second_read(pk)


class SecondReadWithdrawView(_CaseView):
    serializer_class = ReasonSerializer

    @extend_schema(
        operation_id="second_reads_withdraw",
        summary="Withdraw a second read that one asked for oneself",
        responses={200: SecondReadSerializer, **ACT_ERRORS},
        tags=["second reads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row, values = self.second_read(pk), self.sent(request)
        second_read_cancel(actor=self.person, second_read=row, **values)
        return self.as_second_read(pk)


class DiscrepancyListView(ListView):
    serializer_class = DiscrepancySerializer
    queryset = Discrepancy.objects.none()

    @extend_schema(
        operation_id="discrepancies_list",
        summary="PCR results that came after a signature and are not settled, oldest first",
        responses={200: DiscrepancySerializer(many=True), **errors(400)},
        tags=["discrepancies"],
    )
    def get(self, request: Request) -> Response:
        rows = discrepancies_shown_to(self.person).exclude(state="resolved")
        return self.pages_of(_with_moves(rows).order_by("opened_at", "pk"))


class DiscrepancyAcknowledgeView(_CaseView):
    serializer_class = DiscrepancyNoteSerializer

    @extend_schema(
        operation_id="discrepancies_acknowledge",
        summary="Say that one looks into it",
        responses={200: DiscrepancySerializer, **ACT_ERRORS},
        tags=["discrepancies"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row, values = self.discrepancy(pk), self.sent(request)
        discrepancy_acknowledge(actor=self.person, discrepancy=row, **values)
        return self.as_discrepancy(pk)


class DiscrepancyResolveView(_CaseView):
    serializer_class = DiscrepancyResolveSerializer

    @extend_schema(
        operation_id="discrepancies_resolve",
        summary="Settle it",
        responses={200: DiscrepancySerializer, **ACT_ERRORS},
        tags=["discrepancies"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """The signed read stays as it was: a correction is signed by itself, before this."""
        row, values = self.discrepancy(pk), self.sent(request)
        discrepancy_resolve(actor=self.person, discrepancy=row, **values)
        return self.as_discrepancy(pk)


class CriticalResultListView(ListView):
    serializer_class = CriticalResultSerializer
    queryset = CriticalResult.objects.none()

    @extend_schema(
        operation_id="critical_results_list",
        summary="Critical results that nobody has acknowledged, oldest first",
        responses={200: CriticalResultSerializer(many=True), **errors(400)},
        tags=["critical results"],
    )
    def get(self, request: Request) -> Response:
        return self.pages_of(with_history(open_critical_results(self.person)))


class CriticalFlagView(_CaseView):
    serializer_class = CriticalFlagSerializer

    @extend_schema(
        operation_id="critical_results_create",
        summary="Flag a critical result",
        responses={201: CriticalResultSerializer, **ACT_ERRORS},
        tags=["critical results"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        study, values = self.study(pk), self.sent(request)
        return self.as_critical_result(critical_flag(actor=self.person, study=study, **values).pk, 201)


class CriticalResultView(_CaseView):
    serializer_class = CriticalResultSerializer

    @extend_schema(
        operation_id="critical_results_retrieve",
        summary="One critical result, with who was told",
        responses={200: CriticalResultSerializer, **errors(404)},
        tags=["critical results"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the study."""
        critical_result_open(actor=self.person, critical_result=self.critical_result(pk))
        return self.as_critical_result(pk)


class CriticalAcknowledgeView(_CaseView):
    serializer_class = CriticalResultSerializer

    @extend_schema(
        operation_id="critical_results_acknowledge",
        summary="Acknowledge it: the escalation stops",
        request=None,
        responses={200: CriticalResultSerializer, **ACT_ERRORS},
        tags=["critical results"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        critical_acknowledge(actor=self.person, critical_result=self.critical_result(pk))
        return self.as_critical_result(pk)


class CommunicationListView(_CaseView):
    serializer_class = CommunicationCreateSerializer

    @extend_schema(
        operation_id="critical_results_tell",
        summary="Record whom one told, when and how",
        responses={201: CriticalResultSerializer, **ACT_ERRORS},
        tags=["critical results"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """What was read back counts as acknowledged."""
        row, values = self.critical_result(pk), self.sent(request)
        critical_tell(actor=self.person, critical_result=row, **values)
        return self.as_critical_result(pk, 201)


class CriticalCancelView(_CaseView):
    serializer_class = ReasonSerializer

    @extend_schema(
        operation_id="critical_results_cancel",
        summary="Undo a wrong entry; it is kept",
        responses={200: CriticalResultSerializer, **ACT_ERRORS},
        tags=["critical results"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row, values = self.critical_result(pk), self.sent(request)
        critical_cancel(actor=self.person, critical_result=row, **values)
        return self.as_critical_result(pk)
