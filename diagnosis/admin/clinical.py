"""Patients, studies, images, second opinions, reads, PCR results and symptom notes: to be looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.admin.base import AuditedSiteFilter, ClinicalAdmin
from diagnosis.models import (
    FirstRead,
    Image,
    IncomingFile,
    LabResult,
    Patient,
    Prediction,
    Review,
    StoredFile,
    Study,
    Symptom,
    SymptomNote,
)


def pretty(value: Any) -> str:
    """JSON as a person reads it."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False, default=str))


def link(record: Any, text: object = None) -> str:
    """To the record's own page in the admin."""
    address = reverse(f"admin:diagnosis_{record._meta.model_name}_change", args=[record.pk])
    return format_html('<a href="{}">{}</a>', address, text or record)


def links(records: Any) -> str:
    return format_html_join("", "<div>{}</div>", ((link(record),) for record in records)) or "-"


@admin.register(Patient)
class PatientAdmin(ClinicalAdmin):
    list_display = ("display_name", "mrn", "birth_date", "sex", "site", "created_at")
    list_filter = (AuditedSiteFilter, "sex")
    list_select_related = ("site",)
    search_fields = ("person_name", "mrn")
    search_help_text = gettext_lazy("Name or record number")
    ordering = ("person_name", "mrn")
    fields = (
        "site", "mrn", "person_name", "birth_date", "sex", "created_at", "studies", "lab_results", "symptom_notes", "audit",
    )  # fmt: skip

    @admin.display(description=gettext_lazy("name"), ordering="person_name")
    def display_name(self, patient: Patient) -> str:
        return patient.display_name

    def studies(self, patient: Patient) -> str:
        return links(patient.studies.order_by("-created_at"))

    @admin.display(description=gettext_lazy("PCR results"))
    def lab_results(self, patient: Patient) -> str:
        return links(patient.lab_results.all())

    def symptom_notes(self, patient: Patient) -> str:
        return links(patient.symptom_notes.all())

    def audit(self, patient: Patient) -> str:
        address = reverse("admin:diagnosis_auditevent_changelist", query={"patient__id__exact": patient.pk})
        return format_html(
            '<a href="{}">{}</a>', address, _("Who opened or changed the records of this patient")
        )


@admin.register(Study)
class StudyAdmin(ClinicalAdmin):
    study_path = ""
    list_display = (
        "patient",
        "status",
        "priority",
        "accession_number",
        "performed_at",
        "created_at",
        "submitted_by",
        "site",
    )
    list_filter = (AuditedSiteFilter, "status", "priority")
    list_select_related = ("patient", "site", "submitted_by")
    date_hierarchy = "created_at"
    search_fields = ("patient__person_name", "patient__mrn", "accession_number", "=study_instance_uid")
    search_help_text = gettext_lazy(
        "Patient's name or record number, accession number, or the whole study UID"
    )
    ordering = ("-created_at",)
    fields = (
        "site", "patient_link", "status", "priority", "study_instance_uid", "accession_number", "study_description",
        "performed_at", "submitted_by", "created_at", "images", "reviews",
    )  # fmt: skip

    @admin.display(description=gettext_lazy("patient"))
    def patient_link(self, study: Study) -> str:
        return link(study.patient)

    def images(self, study: Study) -> str:
        return links(study.images.all())

    def reviews(self, study: Study) -> str:
        return links(study.reviews.all())


class StoredFileAdmin(ClinicalAdmin):
    """``header`` is what the file says of itself."""

    @admin.display(description=gettext_lazy("pixels"))
    def pixels(self, stored: StoredFile) -> str:
        return f"{stored.columns} x {stored.rows}" if stored.rows else "-"

    @admin.display(description=gettext_lazy("DICOM header"))
    def header_text(self, stored: StoredFile) -> str:
        return pretty(stored.header)


@admin.register(Image)
class ImageAdmin(StoredFileAdmin):
    study_path = "study__"
    list_display = (
        "original_name",
        "patient",
        "kind",
        "pixels",
        "modality",
        "view_position",
        "created_at",
        "site",
    )
    list_filter = (AuditedSiteFilter, "kind", "not_analysed_code", "road")
    list_select_related = ("study__patient", "site")
    search_fields = (
        "study__patient__person_name",
        "study__patient__mrn",
        "=sop_instance_uid",
        "=sha256",
        "original_name",
    )
    search_help_text = gettext_lazy(
        "Patient's name or record number, file name, or the whole SOP Instance UID or sha256"
    )
    ordering = ("-created_at",)
    fields = (
        "site", "study_link", "view", "original_name", "kind", "pixels", "size", "sha256", "stored_sha256",
        "sop_instance_uid", "modality", "body_part_examined", "view_position", "laterality", "not_analysed_code", "road",
        "uploaded_by", "created_at", "predictions", "header_text",
    )  # fmt: skip

    @admin.display(ordering="study__patient__person_name")
    def patient(self, image: Image) -> str:
        return str(image.study.patient)

    @admin.display(description=gettext_lazy("study"))
    def study_link(self, image: Image) -> str:
        return link(image.study)

    @admin.display(description=gettext_lazy("picture"))
    def view(self, image: Image) -> str:
        """The portal's own picture: it shows it to those who have a role at the site, and to nobody else."""
        if not image.is_shown:
            return "-"
        return format_html(
            '<a href="{}"><img src="{}" alt="{}" loading="lazy"></a>',
            reverse("web:preview", args=[image.pk]),
            reverse("web:thumbnail", args=[image.pk]),
            _("The X-ray, small"),
        )

    def predictions(self, image: Image) -> str:
        return links(image.predictions.defer("activation_maps").all())


@admin.register(IncomingFile)
class IncomingFileAdmin(StoredFileAdmin):
    list_display = ("original_name", "kind", "pixels", "size", "uploaded_by", "received_at", "site")
    list_filter = (AuditedSiteFilter, "kind")
    list_select_related = ("site", "uploaded_by")
    search_fields = ("uploaded_by__username", "original_name", "=sha256")
    search_help_text = gettext_lazy("Uploader, file name, or the whole sha256")
    ordering = ("-received_at",)
    fields = (
        "site",
        "original_name",
        "kind",
        "pixels",
        "size",
        "sha256",
        "stored_sha256",
        "uploaded_by",
        "received_at",
        "header_text",
    )


class UnsureFilter(admin.SimpleListFilter):
    title = gettext_lazy("unsure")
    parameter_name = "unsure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Unsure")), ("no", _("One label"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Prediction]) -> QuerySet[Prediction]:
        if self.value() == "yes":
            return queryset.filter(possible_labels__1__isnull=False)
        if self.value() == "no":
            return queryset.filter(possible_labels__0__isnull=False, possible_labels__1__isnull=True)
        return queryset


class RefusalFilter(admin.AllValuesFieldListFilter):
    """The codes that there are; what was not refused has a name too, so that its link can be read and hit."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("Not refused")}


@admin.register(Prediction)
class PredictionAdmin(ClinicalAdmin):
    study_path = "image__study__"
    list_display = ("patient", "status", "label_text", "model_version", "requested_at", "finished_at", "site")
    list_filter = (
        AuditedSiteFilter,
        "status",
        UnsureFilter,
        ("refusal_code", RefusalFilter),
        "model_version",
    )
    list_select_related = ("image__study__patient", "image__site", "model_version")
    date_hierarchy = "requested_at"
    search_fields = ("image__study__patient__person_name", "image__study__patient__mrn", "=id")
    search_help_text = gettext_lazy("Patient's name or record number, or the whole id")
    ordering = ("-requested_at",)
    fields = (
        "image_link", "model_version", "status", "label_text", "possible_text", "scores", "operating_point_text", "reason",
        "refusal_code", "attempts",
        "timings_text", "requested_at", "queued_at", "lease_until", "finished_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return super().get_queryset(request).defer("activation_maps", "model_version__card")

    @admin.display(ordering="image__study__patient__person_name")
    def patient(self, prediction: Prediction) -> str:
        return str(prediction.image.study.patient)

    def site(self, prediction: Prediction) -> str:
        return str(prediction.image.site)

    @admin.display(description=gettext_lazy("second opinion"), ordering="label")
    def label_text(self, prediction: Prediction) -> str:
        return prediction.opinion_display if prediction.label else "-"

    @admin.display(description=gettext_lazy("labels that cannot be ruled out"))
    def possible_text(self, prediction: Prediction) -> str:
        return ", ".join(prediction.possible_displays) or "-"

    def scores(self, prediction: Prediction) -> str:
        rows = ((display, f"{probability:.3f}") for _, display, probability in prediction.scores)
        return format_html_join("", "<div>{}: {}</div>", rows) or "-"

    @admin.display(description=gettext_lazy("operating point"))
    def operating_point_text(self, prediction: Prediction) -> str:
        return pretty(prediction.operating_point)

    @admin.display(description=gettext_lazy("timings"))
    def timings_text(self, prediction: Prediction) -> str:
        return pretty(prediction.timings)

    @admin.display(description=gettext_lazy("image"))
    def image_link(self, prediction: Prediction) -> str:
        return link(prediction.image)


@admin.register(Review)
class ReviewAdmin(ClinicalAdmin):
    study_path = "study__"
    list_display = (
        "patient",
        "kind",
        "decision",
        "label_display",
        "reason",
        "reader",
        "signed_at",
        "protocol",
        "site",
    )
    list_filter = (AuditedSiteFilter, "kind", "decision", "reason", "protocol")
    list_select_related = ("study__patient", "study__site", "reader")
    date_hierarchy = "signed_at"
    search_fields = (
        "study__patient__person_name",
        "study__patient__mrn",
        "reader__username",
        "reader__last_name",
    )
    search_help_text = gettext_lazy("Patient's name or record number, or the reader")
    ordering = ("-signed_at",)
    fields = (
        "study_link", "reader", "kind", "protocol", "first_read_link", "decision", "label_display", "label", "reason",
        "findings", "impression", "comparison", "note", "addendum", "change_reason", "seen", "follows_link", "signed_at",
    )  # fmt: skip

    @admin.display(ordering="study__patient__person_name")
    def patient(self, review: Review) -> str:
        return str(review.study.patient)

    def site(self, review: Review) -> str:
        return str(review.study.site)

    @admin.display(description=gettext_lazy("study"))
    def study_link(self, review: Review) -> str:
        return link(review.study)

    @admin.display(description=gettext_lazy("follows"))
    def follows_link(self, review: Review) -> str:
        return link(review.follows) if review.follows else "-"

    @admin.display(description=gettext_lazy("first read"))
    def first_read_link(self, review: Review) -> str:
        return link(review.first_read) if review.first_read else "-"

    @admin.display(description=gettext_lazy("what the reader had on screen"))
    def seen(self, review: Review) -> str:
        return pretty(review.seen_predictions)


@admin.register(FirstRead)
class FirstReadAdmin(ClinicalAdmin):
    """What readers said before the second opinion was shown to them, and when that was."""

    study_path = "study__"
    list_display = ("patient", "label_display", "confidence", "reader", "locked_at", "protocol", "site")
    list_filter = (AuditedSiteFilter, "confidence", "protocol")
    list_select_related = ("study__patient", "study__site", "reader", "reveal")
    date_hierarchy = "locked_at"
    search_fields = (
        "study__patient__person_name",
        "study__patient__mrn",
        "reader__username",
        "reader__last_name",
    )
    search_help_text = gettext_lazy("Patient's name or record number, or the reader")
    ordering = ("-locked_at",)
    fields = (
        "study_link", "reader", "protocol", "label_display", "label", "confidence", "image_links", "started_at", "locked_at",
        "revealed_at", "shown",
    )  # fmt: skip

    @admin.display(ordering="study__patient__person_name")
    def patient(self, first_read: FirstRead) -> str:
        return str(first_read.study.patient)

    def site(self, first_read: FirstRead) -> str:
        return str(first_read.study.site)

    @admin.display(description=gettext_lazy("study"))
    def study_link(self, first_read: FirstRead) -> str:
        return link(first_read.study)

    @admin.display(description=gettext_lazy("images"))
    def image_links(self, first_read: FirstRead) -> str:
        return links(first_read.images.all())

    @admin.display(description=gettext_lazy("second opinion shown at"))
    def revealed_at(self, first_read: FirstRead) -> Any:
        reveal = getattr(first_read, "reveal", None)
        return reveal.revealed_at if reveal else None

    @admin.display(description=gettext_lazy("what was shown"))
    def shown(self, first_read: FirstRead) -> str:
        reveal = getattr(first_read, "reveal", None)
        return pretty(reveal.seen_predictions) if reveal else "-"


class PatientNoteAdmin(ClinicalAdmin):
    """Records that hang on a patient."""

    search_fields = ("patient__person_name", "patient__mrn")
    search_help_text = gettext_lazy("Patient's name or record number")
    list_select_related = ("patient__site", "entered_by")

    def site(self, note: LabResult | SymptomNote) -> str:
        return str(note.patient.site)

    @admin.display(description=gettext_lazy("patient"))
    def patient_link(self, note: LabResult | SymptomNote) -> str:
        return link(note.patient)


@admin.register(LabResult)
class LabResultAdmin(PatientNoteAdmin):
    list_display = (
        "patient",
        "result",
        "specimen",
        "ct_value",
        "collected_at",
        "received_at",
        "entered_by",
        "site",
    )
    list_filter = (AuditedSiteFilter, "result", "specimen")
    date_hierarchy = "collected_at"
    ordering = ("-collected_at",)
    fields = (
        "patient_link", "result", "specimen", "ct_value", "collected_at", "received_at", "laboratory", "loinc", "entered_by",
        "entered_at",
    )  # fmt: skip


class SymptomInline(admin.TabularInline):
    model = Symptom
    fields = ("code", "severity")
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # Whoever may see the note.

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SymptomNote)
class SymptomNoteAdmin(PatientNoteAdmin):
    list_display = (
        "patient",
        "symptom_list",
        "onset_date",
        "temperature_c",
        "spo2_percent",
        "noted_at",
        "entered_by",
        "site",
    )
    list_filter = (AuditedSiteFilter, "exposure", "vaccination")
    date_hierarchy = "noted_at"
    ordering = ("-noted_at",)
    inlines = (SymptomInline,)
    fields = (
        "patient_link", "onset_date", "temperature_c", "spo2_percent", "exposure", "vaccination", "text", "noted_at",
        "entered_by", "entered_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[SymptomNote]:
        return super().get_queryset(request).prefetch_related("symptoms")

    @admin.display(description=gettext_lazy("symptoms"))
    def symptom_list(self, note: SymptomNote) -> str:
        return ", ".join(str(symptom) for symptom in note.symptoms.all()) or "-"
