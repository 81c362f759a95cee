"""What every operation of the API has in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import BasePagination, PageNumberPagination
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.models import User


class OneRepresentation(DefaultContentNegotiation):
    """Each address has one representation, whatever ``Accept`` says: browsers ask for images where errors are JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, only.media_type


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100

    def get_page_size(self, request: Request) -> int:
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked[:6]) <= self.max_page_size:
            raise ValidationError(
                {
                    self.page_size_query_param: _("Ask for 1 to %(max_page_size)s rows a page.")
                    % {"max_page_size": self.max_page_size}
                }
            )
        return int(asked)


class PortalView(GenericAPIView[Any]):
    """Refuses query parameters that the operation does not know: a filter with a typing error must not show everything."""

    content_negotiation_class = OneRepresentation
    metadata_class = None
    pagination_class: type[BasePagination] | None = None
    filter_backends: Sequence[Any] = ()
    query_parameters: frozenset[str] = frozenset()

    @property
    def person(self) -> User:
        """The account that is calling; the permission classes let nobody else in."""
        return cast(User, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._check_query(request)

    def _check_query(self, request: Request) -> None:
        known = set(self.query_parameters) if request.method in ("GET", "HEAD", "DELETE") else set()
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            raise ValidationError(dict.fromkeys(unknown, _("This parameter is not known here. Remove it.")))


class ListView(PortalView):
    """An operation whose answer comes in pages."""

    pagination_class: type[BasePagination] = Pages

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]
        """All that the filters and the pages declare to the schema."""
        declared = [
            *self.pagination_class().get_schema_operation_parameters(self),
            *(
                parameter
                for backend in self.filter_backends
                for parameter in backend().get_schema_operation_parameters(self)
            ),
        ]
        return frozenset(parameter["name"] for parameter in declared)

    def pages_of(self, queryset: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(queryset))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
