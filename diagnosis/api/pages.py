"""Lists of which nobody counts the rows: an answer names where the next page begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from diagnosis.api.views.base import Pages
from diagnosis.models import Study, User
from diagnosis.selectors.studies import studies_in_order
from diagnosis.selectors.study_pages import ORDERS, Place, StudyPage, study_page

ORDERINGS = [sign + name for name in ORDERS for sign in ("", "-")]
NEWEST = "-created_at"


class StudyPages(BasePagination):
    """Studies by their order: ``after`` and ``before`` are in the addresses ``next`` and ``previous``."""

    request: Request
    page: StudyPage

    def paginate_queryset(  # type: ignore[override]  # Each hospital is asked by itself.
        self, queryset: Sequence[QuerySet[Study]], request: Request, view: APIView | None = None
    ) -> list[Study]:
        ordering = request.query_params.get("ordering") or NEWEST
        if ordering not in ORDERINGS:
            raise ValidationError(
                {"ordering": _("Choose one of %(orders)s.") % {"orders": ", ".join(ORDERINGS)}}
            )
        self.request = request
        self.page = study_page(
            queryset,
            ordering=ordering,
            size=Pages().get_page_size(request),
            after=_place(request, "after"),
            before=_place(request, "before"),
        )
        return studies_in_order(self.page.keys, viewer=cast(User, request.user))

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._link("after", self.page.after),
                "previous": self._link("before", self.page.before),
                "results": data,
            }
        )

    def _link(self, name: str, place: Place | None) -> str | None:
        if place is None:
            return None
        url = self.request.build_absolute_uri()
        for other in ("after", "before"):
            url = remove_query_param(url, other)
        return replace_query_param(url, name, str(place))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        def parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
            return {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": {"type": "string", **schema},
            }

        size = [
            known
            for known in Pages().get_schema_operation_parameters(view)
            if known["name"] == Pages.page_size_query_param
        ]
        return [
            *size,
            parameter(
                "ordering",
                "Of equal times the key decides; without it, the newest come first.",
                enum=ORDERINGS,
            ),
            parameter("after", "Where the page begins, as “next” says."),
            parameter("before", "Where the page ends, as “previous” says."),
        ]


def _place(request: Request, name: str) -> Place | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        return Place.of(text)
    except ValueError:
        raise ValidationError(
            {name: _("This is no place in the list. Follow its “next” and “previous”.")}
        ) from None
