"""Patients with their PCR results, symptom notes and timeline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.filters import FilterParameters, PatientFilter, SearchParameter, search_words
from diagnosis.api.schema import errors
from diagnosis.api.serializers.clinical_notes import (
    LabResultCreateSerializer,
    LabResultSerializer,
    SymptomNoteCreateSerializer,
    SymptomNoteSerializer,
    TimelineEntrySerializer,
)
from diagnosis.api.serializers.patients import PatientCreateSerializer, PatientSerializer
from diagnosis.api.sites import site_or_only_one
from diagnosis.api.views.base import ListView, PortalView
from diagnosis.models import LabResult, Patient, SymptomNote
from diagnosis.policies import Act
from diagnosis.selectors.studies import TimelineEntry, patients_matching, timeline
from diagnosis.services.clinical_notes import lab_result_add, symptom_note_add
from diagnosis.services.patients import patient_create, patient_open
from diagnosis.services.searches import search_record


class PatientListView(ListView):
    serializer_class = PatientSerializer
    queryset = Patient.objects.none()
    filter_backends = [SearchParameter, FilterParameters]
    filterset_class = PatientFilter
    search_description = (
        "Every word must begin a part of the name or the record number. Searches are on record."
    )

    @extend_schema(
        operation_id="patients_list",
        summary="Find patients",
        responses={200: PatientSerializer(many=True), **errors(400)},
        tags=["patients"],
    )
    def get(self, request: Request) -> Response:
        query = search_words(request)
        response = self.pages_of(patients_matching(user=self.person, query=query))
        search_record(actor=self.person, records="patients", query=query)
        return response

    @extend_schema(
        operation_id="patients_create",
        summary="Add a patient",
        request=PatientCreateSerializer,
        responses={201: PatientSerializer, **errors(400, 403)},
        tags=["patients"],
    )
    def post(self, request: Request) -> Response:
        serializer = PatientCreateSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        site = site_or_only_one(self.person, Act.ADD_PATIENT, values.pop("site", None))
        patient = patient_create(actor=self.person, site=site, **values)
        return Response(PatientSerializer(patient).data, status=201)


class _OnePatient(PortalView):
    """An address below that of a patient."""

    def patient(self, pk: UUID) -> Patient:
        return get_object_or_404(Patient.objects.visible_to(self.person).select_related("site"), pk=pk)

    def opened(self, pk: UUID) -> Patient:
        """The patient, whose opening is on record."""
        return patient_open(actor=self.person, patient=self.patient(pk))


class PatientView(_OnePatient):
    serializer_class = PatientSerializer

    @extend_schema(
        operation_id="patients_retrieve",
        summary="Open a patient",
        responses={200: PatientSerializer, **errors(404)},
        tags=["patients"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the patient."""
        return Response(self.get_serializer(self.opened(pk)).data)


class LabResultListView(_OnePatient, ListView):
    serializer_class = LabResultSerializer
    queryset = LabResult.objects.none()

    @extend_schema(
        operation_id="lab_results_list",
        summary="PCR results of a patient, newest first",
        responses={200: LabResultSerializer(many=True), **errors(400, 404)},
        tags=["patients"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the patient."""
        return self.pages_of(LabResult.objects.filter(patient=self.opened(pk)).select_related("entered_by"))

    @extend_schema(
        operation_id="lab_results_create",
        summary="Add a PCR result",
        request=LabResultCreateSerializer,
        responses={201: LabResultSerializer, **errors(400, 403, 404)},
        tags=["patients"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        patient = self.patient(pk)
        serializer = LabResultCreateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        lab_result = lab_result_add(actor=self.person, patient=patient, **serializer.validated_data)
        return Response(LabResultSerializer(lab_result).data, status=201)


class SymptomNoteListView(_OnePatient, ListView):
    serializer_class = SymptomNoteSerializer
    queryset = SymptomNote.objects.none()

    @extend_schema(
        operation_id="symptom_notes_list",
        summary="Symptom notes of a patient, newest first",
        responses={200: SymptomNoteSerializer(many=True), **errors(400, 404)},
        tags=["patients"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the patient."""
        notes = SymptomNote.objects.filter(patient=self.opened(pk))
        return self.pages_of(notes.select_related("entered_by").prefetch_related("symptoms"))

    @extend_schema(
        operation_id="symptom_notes_create",
        summary="Add a symptom note",
        request=SymptomNoteCreateSerializer,
        responses={201: SymptomNoteSerializer, **errors(400, 403, 404)},
        tags=["patients"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        patient = self.patient(pk)
        serializer = SymptomNoteCreateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        note = symptom_note_add(actor=self.person, patient=patient, **serializer.validated_data)
        return Response(SymptomNoteSerializer(note).data, status=201)


# The field of an entry that holds its record.
_RECORD_FIELDS = {"study": "study", "pcr": "lab_result", "symptoms": "symptom_note"}


class TimelineView(_OnePatient):
    serializer_class = TimelineEntrySerializer

    @extend_schema(
        operation_id="patients_timeline",
        summary="Studies, PCR results and symptom notes of a patient, newest first",
        responses={200: TimelineEntrySerializer(many=True), **errors(404)},
        tags=["patients"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of the patient."""
        entries = [_entry(entry) for entry in timeline(self.opened(pk), viewer=self.person)]
        return Response(self.get_serializer(entries, many=True).data)


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    records = {field: entry.record if kind == entry.kind else None for kind, field in _RECORD_FIELDS.items()}
    return {"kind": entry.kind, "at": entry.at, **records}
