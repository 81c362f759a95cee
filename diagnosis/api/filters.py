"""What lists can be searched, filtered and ordered by. What is not named here cannot be asked for."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from diagnosis.models import Patient, Priority, Study, StudyStatus, User
from diagnosis.selectors.studies import OpinionState, studies_with_state, studies_with_status
from diagnosis.services.searches import LONGEST_QUERY, query_normalise


def search_words(request: Request) -> str:
    """What ``search`` asks for; the selectors look it up."""
    query = request.query_params.get("search", "")
    if len(query) > LONGEST_QUERY:
        raise ValidationError(
            {
                "search": _("Search for at most %(longest_query)s characters.")
                % {"longest_query": LONGEST_QUERY}
            }
        )
    return query_normalise(query)


class SearchParameter(BaseFilterBackend):
    """Declares ``search``. The query set of the view has used it already."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "search",
                "in": "query",
                "required": False,
                "description": view.search_description,
                "schema": {"type": "string", "maxLength": LONGEST_QUERY},
            }
        ]


class FilterParameters(DjangoFilterBackend):
    """Filter sets that tell the names of their parameters, as the framework's own filters do."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [{"name": name} for name in view.filterset_class.base_filters]


class StableOrdering(django_filters.OrderingFilter):
    """Rows that are equal keep one order, so that no row is on two pages or on none."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        ordered = super().filter(qs, value)
        return ordered.order_by(*ordered.query.order_by, "pk") if value else ordered


class StudyFilter(django_filters.FilterSet):
    second_opinion = django_filters.ChoiceFilter(
        choices=OpinionState.choices,
        method="with_opinion",
        label="What the newest second opinion on any image of the study says.",
    )
    status = django_filters.ChoiceFilter(choices=StudyStatus.choices, method="with_status")
    priority = django_filters.ChoiceFilter(choices=Priority.choices)
    patient = django_filters.UUIDFilter(field_name="patient_id", label="The patient's id.")

    class Meta:
        model = Study
        fields: list[str] = []

    def with_opinion(self, queryset: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        return studies_with_state(queryset, OpinionState(value), viewer=self._viewer)

    def with_status(self, queryset: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        return studies_with_status(queryset, value, viewer=self._viewer)

    @property
    def _viewer(self) -> User:
        return cast(User, self.request.user)


class PatientFilter(django_filters.FilterSet):
    ordering = StableOrdering(fields=("person_name", "mrn", "created_at"))

    class Meta:
        model = Patient
        fields: list[str] = []
