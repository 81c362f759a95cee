"""A patient: who it is, the timeline, and what is added to it."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from diagnosis import policies
from diagnosis.models import Patient, Study
from diagnosis.services.clinical_notes import lab_result_add, symptom_note_add
from diagnosis.services.patients import patient_open
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.base import PortalForm
from diagnosis.web.forms.clinical_notes import LabResultForm, SymptomNoteForm
from diagnosis.web.panels import entry_forms
from diagnosis.web.params import uuids
from diagnosis.web.requests import PersonRequest
from diagnosis.web.timeline import timeline_of


@require_safe
def patient_page(request: PersonRequest, patient_id: uuid.UUID) -> HttpResponse:
    patient = _patient(request, patient_id)
    patient_open(actor=request.user, patient=patient)
    context = {
        "patient": patient,
        "age": patient.age_on(timezone.localdate()),
        "timeline": timeline_of(patient, viewer=request.user),
        "entry_forms": entry_forms(request.user, patient),
    }
    return render(request, "patients/patient.html", context)


@require_safe
def patient_timeline(request: PersonRequest, patient_id: uuid.UUID) -> HttpResponse:
    """The timeline alone, for a page that has just added to it; ``study`` is the one on screen."""
    patient = _patient(request, patient_id)
    current = next(iter(uuids(request.GET.getlist("study"))), None)
    context = {
        "patient": patient,
        "timeline": timeline_of(patient, viewer=request.user, current_study_id=current),
        "current_study_id": current,
    }
    return render(request, "patients/_timeline.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def lab_results(request: PersonRequest, patient_id: uuid.UUID) -> HttpResponse:
    patient = _patient(request, patient_id)
    policies.require(request.user, policies.Act.ADD_LAB_RESULT, patient.site)
    form = LabResultForm(request.POST if request.method == "POST" else None)
    added = form.is_bound and form.submit(
        lambda: lab_result_add(actor=request.user, patient=patient, **form.cleaned_data)
    )
    return _entry(request, patient, LabResultForm() if added else form, added=added, kind="pcr")


@require_http_methods(["GET", "HEAD", "POST"])
def symptom_notes(request: PersonRequest, patient_id: uuid.UUID) -> HttpResponse:
    patient = _patient(request, patient_id)
    policies.require(request.user, policies.Act.ADD_SYMPTOM_NOTE, patient.site)
    form = SymptomNoteForm(request.POST if request.method == "POST" else None)
    added = form.is_bound and form.submit(
        lambda: symptom_note_add(actor=request.user, patient=patient, **form.values)
    )
    return _entry(request, patient, SymptomNoteForm() if added else form, added=added, kind="symptoms")


def _entry(
    request: PersonRequest, patient: Patient, form: PortalForm, *, added: bool, kind: str
) -> HttpResponse:
    """The form again, empty with a word of success or filled with what is wrong; without script, a page of its own."""
    status = 422 if form.errors else 200
    study = _study_on_screen(request, patient)
    context = {
        "patient": patient,
        "form": form,
        "added": added,
        "current_study_id": study.pk if study else None,
        "kind": kind,
    }
    if request.htmx:
        response = render(request, f"patients/_{kind}_form.html", context, status=status)
        return trigger_client_event(response, "timeline-changed") if added else response
    if added:
        return redirect("web:study", study.pk) if study else redirect("web:patient", patient.pk)
    return render(request, "patients/entry.html", context, status=status)


def _study_on_screen(request: PersonRequest, patient: Patient) -> Study | None:
    ids = uuids(request.POST.getlist("study") + request.GET.getlist("study"))
    return Study.objects.visible_to(request.user).filter(pk__in=ids[:1], patient=patient).first()


def _patient(request: PersonRequest, patient_id: uuid.UUID) -> Patient:
    patient = get_object_or_404(
        Patient.objects.visible_to(request.user).select_related("site"), pk=patient_id
    )
    set_clock(request.user, patient.site)
    return patient
