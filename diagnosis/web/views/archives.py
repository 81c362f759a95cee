"""Looking for a study in the hospital's archives, and fetching it."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from pydicom.uid import UID

from diagnosis import policies
from diagnosis.errors import PersonError
from diagnosis.models import PacsPeer, PacsRetrieval, Patient, Study, User
from diagnosis.pacs.archive import MOST_STUDIES, FoundStudy
from diagnosis.services.pacs import pacs_retrieval_request, pacs_search
from diagnosis.web.forms.archives import ArchiveSearchForm
from diagnosis.web.requests import PersonRequest

SHOWN_RETRIEVALS = 20


def archives_of(user: User) -> QuerySet[PacsPeer]:
    """The archives that ``user`` may ask: those of the sites where the person may store images."""
    sites = policies.sites_where(user, policies.Act.UPLOAD)
    return PacsPeer.objects.filter(site__in=sites, is_active=True).exclude(query_protocol="")


@dataclass(frozen=True, slots=True)
class FoundRow:
    found: FoundStudy
    name: str
    study: Study | None
    """The study on record here, where there is one."""


@require_http_methods(["GET", "HEAD", "POST"])
def archives(request: PersonRequest) -> HttpResponse:
    """Search by POST: names of patients belong neither in an address nor in the log of a proxy."""
    if not policies.sites_where(request.user, policies.Act.UPLOAD).exists():
        raise PermissionDenied(
            _("Your role does not fetch studies from archives. Ask a doctor or a radiologist.")
        )
    form = ArchiveSearchForm(
        request.POST if request.method == "POST" else None, archives=archives_of(request.user)
    )
    rows: list[FoundRow] | None = None
    problem = ""
    if form.is_bound and form.is_valid():
        peer = form.cleaned_data["archive"]
        try:
            found = pacs_search(actor=request.user, peer=peer, query=form.query)
            rows = _rows(peer, found)
        except PersonError as error:
            problem = str(error)
    context = {
        "form": form,
        "rows": rows,
        "is_cut": rows is not None and len(rows) >= MOST_STUDIES,
        "peer": form.cleaned_data.get("archive") if rows is not None else None,
        "problem": problem,
        "has_archive": archives_of(request.user).exists(),
        **_retrievals(request.user),
    }
    status = 422 if form.errors else 503 if problem else 200
    return render(request, "archives/archives.html", context, status=status)


@require_POST
def fetch(request: PersonRequest) -> HttpResponse:
    key = request.POST.get("archive", "")
    uid = UID(request.POST.get("study_instance_uid", ""))
    if not (key.isascii() and key.isdigit() and len(key) < 19 and uid.is_valid):
        raise Http404
    peer = get_object_or_404(PacsPeer.objects.visible_to(request.user).select_related("site"), pk=int(key))
    pacs_retrieval_request(actor=request.user, peer=peer, study_instance_uid=str(uid))
    return redirect("web:archives")


@require_safe
def retrievals(request: PersonRequest) -> HttpResponse:
    """The person's own retrievals, for a page that waits for them."""
    return render(request, "archives/_retrievals.html", _retrievals(request.user))


def _retrievals(user: User) -> dict[str, object]:
    mine = PacsRetrieval.objects.visible_to(user).filter(requested_by=user).select_related("peer__site")
    shown = list(mine[:SHOWN_RETRIEVALS])
    here = {
        (study.site_id, study.study_instance_uid): study
        for study in Study.objects.visible_to(user).filter(
            study_instance_uid__in=[retrieval.study_instance_uid for retrieval in shown]
        )
    }
    return {
        "retrievals": [
            (retrieval, here.get((retrieval.peer.site_id, retrieval.study_instance_uid)))
            for retrieval in shown
        ],
        "poll": any(not retrieval.is_final for retrieval in shown),
    }


def _rows(peer: PacsPeer, found: list[FoundStudy]) -> list[FoundRow]:
    here = {
        study.study_instance_uid: study
        for study in Study.objects.filter(
            site=peer.site, study_instance_uid__in=[one.study_instance_uid for one in found]
        )
    }
    return [
        FoundRow(one, Patient(person_name=one.patient_name).display_name, here.get(one.study_instance_uid))
        for one in found
    ]
