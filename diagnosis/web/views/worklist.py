"""The page after login: the drop zone on top, the worklist below."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from diagnosis import policies
from diagnosis.models import Image, Study
from diagnosis.selectors.studies import (
    OpinionState,
    SecondOpinion,
    current_review,
    second_opinion,
    studies_with_opinion,
    worklist,
)
from diagnosis.services.searches import query_normalise, search_record
from diagnosis.web import chips
from diagnosis.web.chips import Chip
from diagnosis.web.params import uuids
from diagnosis.web.requests import PersonRequest
from diagnosis.web.views.archives import archives_of
from diagnosis.web.views.uploads import drop_zone
from diagnosis.web.waiting import file_groups

PAGE_SIZE = 25
QUERY = "worklist_query"
"""Where the session keeps the query: names of patients belong neither in an address nor in the log of a proxy."""


@dataclass(frozen=True, slots=True)
class Row:
    study: Study
    opinion: SecondOpinion
    image: Image | None
    image_count: int
    status_chip: Chip
    priority_chip: Chip | None
    opinion_chip: Chip
    pcr_chip: Chip
    decision_chip: Chip

    @classmethod
    def of(cls, study: Study) -> Row:
        opinion = second_opinion(study)
        images = list(study.images.all())
        return cls(
            study=study,
            opinion=opinion,
            image=next((image for image in images if image.is_shown), None),
            image_count=len(images),
            status_chip=chips.study_chip(study),
            priority_chip=chips.priority_chip(study),
            opinion_chip=chips.opinion_chip(opinion),
            pcr_chip=chips.pcr_chip(study.latest_pcr),  # type: ignore[attr-defined]  # Annotated by the selector.
            decision_chip=chips.decision_chip(current_review(study)),
        )


@require_safe
def home(request: PersonRequest) -> HttpResponse:
    query = request.session.get(QUERY, "")
    context = {
        "drop_zone": drop_zone(request.user),
        "groups": file_groups(request.user),
        **_list(request, query, _state(request.GET.get("opinion")), request.GET.get("page")),
    }
    return render(request, "worklist/home.html", context)


@require_POST
def search(request: PersonRequest) -> HttpResponse:
    """Look for studies. By POST, and kept in the session: addresses end up in histories and logs."""
    query = query_normalise(request.POST.get("q", ""))
    search_record(actor=request.user, records="studies", query=query)
    request.session[QUERY] = query
    if not request.htmx:
        return redirect("web:home")
    state = _state(request.POST.get("opinion"))
    return render(request, "worklist/_list.html", _list(request, query, state, None))


@require_POST
def refresh(request: PersonRequest) -> HttpResponse:
    """The rows that are on screen, in their order, as they stand now: nothing moves under the reader's eyes."""
    shown = uuids(request.POST.getlist("study"))[:PAGE_SIZE]
    studies = {
        study.pk: study
        for study in studies_with_opinion(Study.objects.visible_to(request.user), viewer=request.user).filter(
            pk__in=shown
        )
    }
    rows = [Row.of(studies[pk]) for pk in shown if pk in studies]
    return render(request, "worklist/_rows.html", {"rows": rows, "poll": _is_pending(rows)})


def _state(value: str | None) -> OpinionState | None:
    """What the list is narrowed to. It says nothing about a patient, so it may stand in the address."""
    return OpinionState(value) if value in OpinionState.values else None


def _list(
    request: PersonRequest, query: str, state: OpinionState | None, page_number: str | None
) -> dict[str, object]:
    studies = worklist(user=request.user, query=query, state=state)
    page: Page[Study] = Paginator(studies, PAGE_SIZE).get_page(page_number)
    rows = [Row.of(study) for study in page]
    return {
        "query": query,
        "state": state,
        "states": OpinionState.choices,
        "page": page,
        "rows": rows,
        "poll": _is_pending(rows),
        "may_upload": policies.sites_where(request.user, policies.Act.UPLOAD).exists(),
        "has_archive": archives_of(request.user).exists(),
        "has_site": request.user.memberships.exists(),
        "home_url": reverse("web:home"),
    }


def _is_pending(rows: list[Row]) -> bool:
    return any(row.opinion.is_pending for row in rows)
