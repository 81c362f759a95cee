"""What every DICOMweb resource has in common."""

from __future__ import annotations

from typing import Any, cast

from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from diagnosis.api.views.base import OneRepresentation
from diagnosis.dicomweb.instances import instances_visible_to, require_stored
from diagnosis.models import Image, User
from diagnosis.services.openings import OPENING_HEADER, study_open_once
from diagnosis.services.studies import study_open


class DicomWebView(APIView):
    """Accounts, tokens and errors as in the REST API; representations are negotiated by each resource itself.

    Parameters that a resource does not know are refused: a misspelt one must not change the question.
    """

    content_negotiation_class = OneRepresentation  # Of its errors, which are JSON.
    metadata_class = None
    schema = None
    query_parameters: frozenset[str] = frozenset({"accept"})

    @property
    def person(self) -> User:
        """The account that is calling; the permission classes let nobody else in."""
        return cast(User, self.request.user)

    def base_url(self, request: Request) -> str:
        """The service's own address, without a slash at its end."""
        return request.build_absolute_uri(request.path).partition("/dicom-web/")[0] + "/dicom-web"

    def check_query(self, request: Request, known: frozenset[str] | None = None) -> None:
        unknown = sorted(set(request.query_params) - (self.query_parameters if known is None else known))
        if unknown:
            raise ValidationError(dict.fromkeys(unknown, "This parameter is not known here. Remove it."))

    def instances(self, study: str, series: str = "", instance: str = "") -> list[Image]:
        """The instances below this address that the person may see, the same one of two hospitals once.

        Raises ``Http404`` where there is none.
        """
        images = instances_visible_to(self.person).filter(study__study_instance_uid=study)
        if series:
            images = images.filter(series_instance_uid=series)
        if instance:
            images = images.filter(sop_instance_uid=instance)
        found: dict[str, Image] = {}
        for image in images:
            found.setdefault(image.sop_instance_uid, image)
        if not found:
            raise Http404
        for image in found.values():
            require_stored(image)
        return list(found.values())

    def answered(self, request: Request, image: Image, response: HttpResponseBase) -> HttpResponseBase:
        """``response``, which tells one image, with its opening on record: the portal's own page says which opening it belongs
        to, every other caller opens the study anew.
        """
        if OPENING_HEADER not in request.headers:
            self.open([image])
            return response
        ticket = request.headers[OPENING_HEADER]
        response.headers[OPENING_HEADER] = study_open_once(
            actor=self.person, study=image.study, ticket=ticket
        )
        return response

    def open(self, images: list[Image]) -> None:
        """Put on record that the person looked at the studies of ``images``."""
        for study in {image.study_id: image.study for image in images}.values():
            study_open(actor=self.person, study=study)


class UnknownResourceView(DicomWebView):
    """Whatever is no resource of the service: an answer that a program can read."""

    def get(self, request: Request, **_: Any) -> None:
        raise Http404

    post = put = delete = get
