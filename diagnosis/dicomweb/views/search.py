"""QIDO-RS."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpResponse
from rest_framework.request import Request

from diagnosis.dicomweb import queries, search
from diagnosis.dicomweb.instances import instances_visible_to
from diagnosis.dicomweb.negotiation import DICOM_JSON, JSON, choose
from diagnosis.dicomweb.queries import Query
from diagnosis.dicomweb.search import Found
from diagnosis.dicomweb.views.base import DicomWebView
from diagnosis.services.searches import query_normalise, search_record

NO_FUZZY_MATCHING = '299 cxr-portal "Fuzzy matching is not supported. Only literal matching was performed."'
MORE_RESULTS = '299 cxr-portal "There are more results. Ask for them with offset."'


class _SearchView(DicomWebView):
    keys = search.STUDY_KEYS

    def query(self, request: Request) -> Query:
        return queries.parse(request.query_params, self.keys)

    def answer(self, request: Request, query: Query, found: Found) -> HttpResponse:
        media_type = choose(request, [DICOM_JSON, JSON])
        response = HttpResponse(json.dumps(found.results), content_type=media_type)
        warnings = [NO_FUZZY_MATCHING] if query.fuzzy and query.searched else []
        if found.has_more:
            warnings.append(MORE_RESULTS)
        if warnings:
            response.headers["Warning"] = ", ".join(warnings)
        return response

    def record(self, query: Query, study: str, series: str = "") -> None:
        """A search below a study opens that study; any other is a search. Raises ``Http404`` for an unknown study."""
        if not study:
            search_record(actor=self.person, records="studies", query=query_normalise(query.searched))
            return
        images = instances_visible_to(self.person).filter(study__study_instance_uid=study)
        if series:
            images = images.filter(series_instance_uid=series)
        found = list(images)
        if not found:
            raise Http404
        self.open(found)


class SeriesSearchView(_SearchView):
    keys = search.SERIES_KEYS

    def get(self, request: Request, study: str = "") -> HttpResponse:
        query = self.query(request)
        self.record(query, study)
        return self.answer(
            request, query, search.series(self.person, query, self.base_url(request), study_uid=study)
        )


class InstanceSearchView(_SearchView):
    keys = search.INSTANCE_KEYS

    def get(self, request: Request, study: str = "", series: str = "") -> HttpResponse:
        query = self.query(request)
        self.record(query, study, series)
        found = search.instances(
            self.person, query, self.base_url(request), study_uid=study, in_series=series
        )
        return self.answer(request, query, found)


class StudySearchView(_SearchView):
    def get(self, request: Request, **_: Any) -> HttpResponse:
        query = self.query(request)
        found = search.studies(self.person, query, self.base_url(request))
        self.record(query, "")
        return self.answer(request, query, found)
