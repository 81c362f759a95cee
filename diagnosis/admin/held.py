"""Held files: both sides of a contradiction on one page, and the decision."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from diagnosis import policies
from diagnosis.admin.base import AuditedSiteFilter, ScopedAdmin, person
from diagnosis.admin.clinical import link, pretty
from diagnosis.errors import PersonError
from diagnosis.models import HeldFile, Image, StoredFile
from diagnosis.selectors.files import jpeg_response
from diagnosis.services.held import held_file_assign, held_file_attach, held_file_discard, held_file_open
from diagnosis.services.patients import Difference, patient_differences


class ResolvedFilter(admin.SimpleListFilter):
    """What waits for a decision comes first: the rest is history."""

    title = gettext_lazy("decision")
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", _("All")), ("made", _("Made"))]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield (
                {**choice, "display": _("Waiting")}
                if choice["query_string"] == changelist.get_query_string(remove=[self.parameter_name])
                else choice
            )

    def queryset(self, request: HttpRequest, queryset: QuerySet[HeldFile]) -> QuerySet[HeldFile]:
        match self.value():
            case "all":
                return queryset
            case "made":
                return queryset.exclude(resolution="")
        return queryset.filter(resolution="")


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=[("attach", ""), ("assign", ""), ("discard", "")])
    mrn = forms.CharField(max_length=64, required=False)


@admin.register(HeldFile)
class HeldFileAdmin(ScopedAdmin):
    """Nothing of the row is edited: a decision is an act of its own."""

    change_form_template = "admin/held_file.html"
    list_display = ("original_name", "reason_code", "patient", "road", "held_at", "resolution", "site")
    list_filter = (ResolvedFilter, AuditedSiteFilter, "reason_code", "road")
    list_select_related = ("site", "patient")
    search_fields = ("original_name", "=sha256", "patient__mrn", "patient__person_name")
    search_help_text = gettext_lazy(
        "File name, whole sha256, or the record number or name of the patient whom it contradicts"
    )
    ordering = ("-held_at",)
    fields = (
        "site", "original_name", "why", "contradicted_patient", "contradicted_image", "kind", "size", "sha256", "road",
        "uploaded_by", "held_at", "resolution", "resolved_by", "resolved_at", "became", "header_text",
    )  # fmt: skip

    @admin.display(description=gettext_lazy("why it is held"))
    def why(self, held: HeldFile) -> str:
        return str(held.reason)

    @admin.display(description=gettext_lazy("patient on record"))
    def contradicted_patient(self, held: HeldFile) -> str:
        return link(held.patient) if held.patient else "-"

    @admin.display(description=gettext_lazy("stored image"))
    def contradicted_image(self, held: HeldFile) -> str:
        return link(held.image) if held.image else "-"

    @admin.display(description=gettext_lazy("stored as"))
    def became(self, held: HeldFile) -> str:
        return link(held.stored_as) if held.stored_as else "-"

    @admin.display(description=gettext_lazy("DICOM header"))
    def header_text(self, held: HeldFile) -> str:
        return pretty(held.header)

    def get_urls(self) -> list[URLPattern]:
        routes = [
            ("decide/", require_POST(self.decide), "decide"),
            ("picture/", require_safe(self.picture), "picture"),
            ("stored-picture/", require_safe(self.stored_picture), "stored_picture"),
            ("original/", require_safe(self.original), "original"),
        ]
        own = [
            path(
                f"<uuid:held_id>/{address}",
                self.admin_site.admin_view(view),
                name=f"diagnosis_heldfile_{name}",
            )
            for address, view, name in routes
        ]
        return own + super().get_urls()

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: HeldFile | None = None,
    ) -> HttpResponse:
        if obj is None:
            raise Http404
        may_decide = policies.may(request.user, policies.Act.RESOLVE_HELD_FILE, obj.site)
        held_file_open(actor=person(request), held=obj)
        compared = _compared_image(obj)
        context |= {
            "held": obj,
            "compared": compared,
            "facts": _facts(obj, compared),
            "differences": _differences(obj),
            "may_decide": may_decide and obj.is_open,
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def decide(self, request: HttpRequest, held_id: uuid.UUID) -> HttpResponse:
        held = self._held(request, held_id)
        form = DecisionForm(request.POST)
        if not form.is_valid():
            messages.error(
                request, _("Say what is to become of the file, and nothing longer than a record number.")
            )
            return redirect("admin:diagnosis_heldfile_change", held.pk)
        actor = person(request)
        try:
            match form.cleaned_data["decision"]:
                case "attach":
                    held_file_attach(actor=actor, held=held)
                case "assign":
                    held_file_assign(actor=actor, held=held, mrn=form.cleaned_data["mrn"])
                case "discard":
                    held_file_discard(actor=actor, held=held)
        except PersonError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("Your decision was carried out."))
        return redirect("admin:diagnosis_heldfile_change", held.pk)

    def picture(self, request: HttpRequest, held_id: uuid.UUID) -> FileResponse:
        return jpeg_response(self._held(request, held_id).preview)

    def stored_picture(self, request: HttpRequest, held_id: uuid.UUID) -> FileResponse:
        image = _compared_image(self._held(request, held_id))
        if image is None:
            raise Http404
        return jpeg_response(image.preview)

    def original(self, request: HttpRequest, held_id: uuid.UUID) -> FileResponse:
        held = self._held(request, held_id)
        if not held.file:
            raise Http404
        held_file_open(actor=person(request), held=held)
        response = FileResponse(held.file.open("rb"), content_type="application/octet-stream")
        response.headers["Content-Disposition"] = (
            content_disposition_header(True, f"held-{held.pk}.bin") or ""
        )
        return response

    def _held(self, request: HttpRequest, held_id: uuid.UUID) -> HeldFile:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(
            self.get_queryset(request).select_related("site", "patient", "image__study__patient"), pk=held_id
        )


def _compared_image(held: HeldFile) -> Image | None:
    """The stored image beside which the held one is shown: the one that it contradicts, or the patient's newest."""
    if held.image is not None or held.patient is None:
        return held.image
    return (
        Image.objects.filter(study__patient=held.patient)
        .exclude(preview="")
        .order_by("-created_at", "-id")
        .first()
    )


def _facts(held: HeldFile, compared: Image | None) -> list[tuple[str, str, str]]:
    """What the held file and the record say, side by side."""
    patient = held.contradicted_patient
    header = held.header
    rows = [
        (_("Record number"), header.get("patient_id", ""), patient.mrn if patient else ""),
        (_("Name"), header.get("patient_name", ""), patient.person_name if patient else ""),
        (
            _("Birth date"),
            header.get("patient_birth_date") or "",
            str((patient and patient.birth_date) or ""),
        ),
        (_("Sex"), header.get("patient_sex", ""), patient.sex if patient else ""),
        *_file_facts(held, compared),
    ]
    return [row for row in rows if row[1] or row[2]]


def _file_facts(held: HeldFile, compared: Image | None) -> list[tuple[str, str, str]]:
    def said(stored: StoredFile | None, keyword: str) -> str:
        return str((stored.header.get(keyword) if stored else "") or "")

    keywords = {
        _("SOP Instance UID"): "sop_instance_uid",
        _("Study Instance UID"): "study_instance_uid",
        _("Accession number"): "accession_number",
        _("Study date"): "study_date",
        _("View"): "view_position",
        _("Manufacturer"): "manufacturer",
    }
    return [(label, said(held, keyword), said(compared, keyword)) for label, keyword in keywords.items()]


def _differences(held: HeldFile) -> list[Difference]:
    patient = held.contradicted_patient
    return patient_differences(patient, held.header) if patient else []
