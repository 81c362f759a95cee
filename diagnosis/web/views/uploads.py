"""Files come in, and their uploader says whose they are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.full_disk import NO_ROOM
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.intake.resumable import uploads_to_show
from diagnosis.intake.submit import file_failed
from diagnosis.models import IncomingFile, Patient, ResumableUpload, Site, User
from diagnosis.selectors.studies import patients_matching
from diagnosis.services.patients import patient_create
from diagnosis.services.searches import query_normalise, search_record
from diagnosis.services.studies import FileOutcome, Receipt, incoming_file_discard, study_submit
from diagnosis.web.forms.confirm import EXISTING, ConfirmForm
from diagnosis.web.outcomes import Outcome, outcomes_keep, outcomes_take
from diagnosis.web.params import row_number, uuids
from diagnosis.web.people import own_memberships
from diagnosis.web.requests import PersonRequest
from diagnosis.web.waiting import (
    FileDifference,
    FileGroup,
    differences_name,
    file_differences,
    file_facts,
    file_groups,
)

STATUS = {
    FileOutcome.WAITING: 201,
    FileOutcome.DUPLICATE: 200,
    FileOutcome.REFUSED: 422,
    FileOutcome.HELD: 202,
}
MOST_PATIENTS = 10


@dataclass(frozen=True, slots=True)
class DropZone:
    sites: tuple[Site, ...]
    max_bytes: int
    max_archive_bytes: int
    unfinished: tuple[ResumableUpload, ...]

    @property
    def deidentifying(self) -> list[Site]:
        """The hospitals that store de-identified copies."""
        return [site for site in self.sites if site.stores_deidentified]

    @property
    def max_megabytes(self) -> int:
        return self.max_bytes // 2**20

    @property
    def max_archive_megabytes(self) -> int:
        return self.max_archive_bytes // 2**20


def drop_zone(user: User, *, has_unfinished: bool = True) -> DropZone | None:
    """``None`` for those who may not upload anywhere. ``has_unfinished``: whether there may be uploads to go on with."""
    sites = tuple(policies.sites_of(own_memberships(user), policies.Act.UPLOAD))
    if not sites:
        return None
    return DropZone(
        sites,
        settings.CXR_MAX_UPLOAD_BYTES,
        settings.CXR_ARCHIVE_MAX_BYTES,
        tuple(uploads_to_show(user)) if has_unfinished else (),
    )


@require_POST
def upload(request: PersonRequest) -> HttpResponse:
    """Examine the files of one request. The script sends one at a time and gets its row; a plain form sends all at once."""
    site = get_object_or_404(Site.objects.visible_to(request.user), pk=row_number(request.POST.get("site")))
    policies.require(request.user, policies.Act.UPLOAD, site)
    receipts = [_receive(request.user, site, file) for file in request.FILES.getlist("files")]
    if request.htmx:
        return _row(request, receipts)
    outcomes_keep(request, receipts)
    return redirect("web:confirm")


def _receive(user: User, site: Site, file: UploadedFile) -> Receipt:
    """One file that goes wrong does not take the others of the same form with it."""
    try:
        return receive_file(actor=user, site=site, upload=file)
    except Exception as error:  # noqa: BLE001  Whatever is wrong with one file, the others go on; file_failed logs it.
        return file_failed(actor=user, site=site, file_name=shown_name(file.name or ""), error=error)


def _row(request: PersonRequest, receipts: Sequence[Receipt]) -> HttpResponse:
    if len(receipts) != 1:
        return HttpResponse(
            _("No file arrived. Choose it again."), status=400, content_type="text/plain; charset=utf-8"
        )
    [receipt] = receipts
    status = FULL_DISK if receipt.code == NO_ROOM else STATUS[receipt.outcome]
    response = render(request, "uploads/_outcome.html", {"outcome": Outcome.of(receipt)}, status=status)
    response.headers["X-Outcome"] = receipt.outcome.value
    return response


@require_safe
def waiting(request: PersonRequest) -> HttpResponse:
    return render(request, "uploads/_waiting.html", {"groups": file_groups(request.user)})


@dataclass(frozen=True, slots=True)
class ConfirmPart:
    """One group of the confirmation page with its form."""

    group: FileGroup
    form: ConfirmForm
    files: list[tuple[IncomingFile, str]]
    patient: Patient | None
    differences: list[FileDifference]
    query: str
    found: Sequence[Patient]

    @property
    def compared(self) -> str:
        return differences_name(self.differences)

    @property
    def ticked(self) -> set[uuid.UUID]:
        return set(uuids(self.form["images"].value() or []))


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: PersonRequest) -> HttpResponse:
    if request.method != "POST":
        return _confirm_page(request)
    group = _group(file_groups(request.user), request.POST.get("group", ""))
    form = _form(request.user, group, request.POST)
    receipts = _try_to_store(request.user, form)
    if receipts is None:
        return _confirm_page(request, bound=form, status=422)
    if file_groups(request.user):
        outcomes_keep(request, receipts)
        return redirect("web:confirm")
    # The study's page shows by itself what was stored.
    outcomes_keep(request, [receipt for receipt in receipts if receipt.outcome is not FileOutcome.STORED])
    image = next(receipt.image for receipt in receipts if receipt.image)
    return redirect("web:study", study_id=image.study_id)


def _try_to_store(user: User, form: ConfirmForm) -> list[Receipt] | None:
    """``None``, with the reasons in ``form``, when nothing was stored. A ``Conflict`` is not the form's to mend."""
    if not form.is_valid():
        return None
    try:
        return _store(user, form)
    except ValidationError as error:
        form.take_errors(error)
    except NotPossible as error:
        form.add_error(None, str(error))
    return None


@transaction.atomic
def _store(user: User, form: ConfirmForm) -> list[Receipt]:
    values = form.cleaned_data
    patient = values["patient"] or patient_create(actor=user, **form.new_patient)
    compared = differences_name(file_differences(patient, form.group.files))
    return study_submit(
        actor=user,
        patient=patient,
        files=form.chosen_files,
        # Ticked for another patient's differences, the box says nothing about these.
        differences_accepted=values["same_person"] and values["compared"] == compared,
        **form.described,
    )


@require_POST
def discard(request: PersonRequest) -> HttpResponse:
    """Throw away the files that were on screen, and no other that came meanwhile."""
    own = (
        IncomingFile.objects.visible_to(request.user).filter(uploaded_by=request.user).select_related("site")
    )
    for incoming in own.filter(pk__in=uuids(request.POST.getlist("file"))):
        incoming_file_discard(actor=request.user, incoming=incoming)
    return redirect("web:confirm" if own.all().exists() else "web:home")


@require_POST
def patients(request: PersonRequest) -> HttpResponse:
    """Patients of the group's hospital that match what was typed, to pick one."""
    group = _group(file_groups(request.user), request.POST.get("group", ""))
    query = query_normalise(request.POST.get(f"{group.key}-patient_query", ""))
    search_record(actor=request.user, records="patients", query=query)
    form = ConfirmForm(user=request.user, group=group)
    return render(
        request,
        "uploads/_patients.html",
        {"form": form, "query": query, "found": _found(request.user, group, query)},
    )


def _found(user: User, group: FileGroup, query: str) -> list[Patient]:
    if not query:
        return []
    return list(patients_matching(user=user, query=query).filter(site=group.site)[:MOST_PATIENTS])


def _group(groups: Sequence[FileGroup], key: str) -> FileGroup:
    for group in groups:
        if group.key == key:
            return group
    raise Conflict(
        _("These files are not waiting any more: they were stored or discarded. Look at the worklist.")
    )


def _form(user: User, group: FileGroup, data: Any = None) -> ConfirmForm:
    with timezone.override(group.site.tzinfo):
        form = ConfirmForm(data, user=user, group=group, match=_match(user, group))
        if data is not None:
            form.full_clean()
    return form


def _match(user: User, group: FileGroup) -> Patient | None:
    """The patient on record whose number the file bears."""
    number = (group.header.get("patient_id") or "").strip()
    return Patient.objects.visible_to(user).filter(site=group.site, mrn=number).first() if number else None


def _confirm_page(
    request: PersonRequest, *, bound: ConfirmForm | None = None, status: int = 200
) -> HttpResponse:
    """All groups; the one that ``bound`` is about with what was typed and what is wrong with it."""
    parts = [
        _part(request.user, group, bound if bound and bound.group.key == group.key else None)
        for group in file_groups(request.user)
    ]
    context = {"parts": parts, "outcomes": outcomes_take(request), "drop_zone": drop_zone(request.user)}
    return render(request, "uploads/confirm.html", context, status=status)


def _part(user: User, group: FileGroup, bound: ConfirmForm | None) -> ConfirmPart:
    form = bound or _form(user, group)
    if bound is None:
        chosen: Patient | None = form.initial["patient"]
        compared = chosen
    else:
        chosen = bound.cleaned_data.get("patient")
        compared = chosen or _unsaved(bound)
    query = "" if bound is None or chosen else query_normalise(bound["patient_query"].value() or "")
    return ConfirmPart(
        group=group,
        form=form,
        files=[(incoming, file_facts(incoming)) for incoming in group.files],
        patient=chosen,
        differences=file_differences(compared, group.files) if compared else [],
        query=query,
        found=_found(user, group, query),
    )


def _unsaved(form: ConfirmForm) -> Patient | None:
    """The patient that was about to be created, to be compared with the files."""
    if form.cleaned_data.get("choice") == EXISTING or not form.cleaned_data.get("mrn"):
        return None
    try:
        return Patient(**form.new_patient)
    except KeyError:
        return None  # A field of the new patient could not be read; that is said first.
