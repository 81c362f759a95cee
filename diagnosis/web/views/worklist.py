"""The page after login: the drop zone on top, the worklist below."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from diagnosis.models import SavedFilter
from diagnosis.selectors.worklist import PAGE_SIZE, WorklistFilter, next_case
from diagnosis.services.saved_filters import filter_default, filter_delete, filter_restore, filter_save
from diagnosis.services.searches import query_normalise, search_record
from diagnosis.web.params import uuids
from diagnosis.web.requests import PersonRequest
from diagnosis.web.undo import Undo, undo_keep, undo_take
from diagnosis.web.views.uploads import drop_zone
from diagnosis.web.waiting import file_groups
from diagnosis.web.worklist import LAST, QUERY, Worklist, views_of, worklist_of


@require_safe
def home(request: PersonRequest) -> HttpResponse:
    shown = worklist_of(request.user, request.session, request.GET)
    _remember(request, shown)
    zone = drop_zone(request.user, has_unfinished=shown.has_unfinished)
    context = {
        "drop_zone": zone,
        "groups": file_groups(request.user) if shown.has_waiting else [],
        "worklist": shown,
        "undo": undo_take(request.session),
    }
    return render(request, "worklist/home.html", context)


def _remember(request: PersonRequest, shown: Worklist) -> None:
    if request.session.get(LAST) != shown.narrow.query:
        request.session[LAST] = shown.narrow.query


@require_POST
def search(request: PersonRequest) -> HttpResponse:
    """Look for studies. By POST, and kept in the session: addresses end up in histories and logs."""
    query = query_normalise(request.POST.get("q", ""))
    search_record(actor=request.user, records="studies", query=query)
    request.session[QUERY] = query
    if not request.htmx:
        return redirect("web:home")
    shown = worklist_of(request.user, request.session, request.POST)
    _remember(request, shown)
    return render(request, "worklist/_list.html", {"worklist": shown})


@require_POST
def refresh(request: PersonRequest) -> HttpResponse:
    """The rows that are on screen, in their order, as they stand now: nothing moves under the reader's eyes."""
    keys = uuids(request.POST.getlist("study"))[:PAGE_SIZE]
    shown = worklist_of(request.user, request.session, request.POST, shown=keys)
    return render(request, "worklist/_list.html", {"worklist": shown})


@require_safe
def next_study(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """To the next study of the list that was last on screen, or with ``back`` to the one before; at its end to the list."""
    narrow = WorklistFilter.of(request.session.get(LAST, {}))
    query = request.session.get(QUERY, "")
    found = next_case(request.user, narrow, study_id, query, backwards="back" in request.GET)
    return redirect("web:study", found) if found else redirect("web:home")


# Views that a person keeps


@require_POST
def view_save(request: PersonRequest) -> HttpResponse:
    """Keep the list that is on screen under a name."""
    narrow = WorklistFilter.of(request.POST)
    try:
        saved = filter_save(actor=request.user, name=request.POST.get("name", ""), query=narrow.query)
    except ValidationError as error:
        undo_keep(request.session, Undo(" ".join(error.messages)))
        return redirect(_address(**{"status": narrow.status, **narrow.query}))
    if "default" in request.POST:
        filter_default(actor=request.user, key=f"own-{saved.pk}")
    return redirect(_address(view=f"own-{saved.pk}"))


@require_POST
def view_delete(request: PersonRequest, view_id: int) -> HttpResponse:
    saved = get_object_or_404(SavedFilter, pk=view_id, user=request.user, deleted_at__isnull=True)
    filter_delete(actor=request.user, saved=saved)
    undo_keep(
        request.session,
        Undo.of(_("The view “%(name)s” is deleted.") % {"name": saved.name}, "web:view_restore", view_id),
    )
    return redirect("web:home")


@require_POST
def view_restore(request: PersonRequest, view_id: int) -> HttpResponse:
    saved = get_object_or_404(SavedFilter, pk=view_id, user=request.user)
    filter_restore(actor=request.user, saved=saved)
    return redirect(_address(view=f"own-{saved.pk}"))


@require_POST
def view_default(request: PersonRequest) -> HttpResponse:
    """Begin with this view from now on."""
    key = request.POST.get("view", "")
    if key not in {view.key for view in views_of(request.user)}:
        raise Http404
    filter_default(actor=request.user, key=key)
    undo_keep(request.session, Undo(_("The worklist opens with this view from now on.")))
    return redirect(_address(view=key))


def _address(**query: str) -> str:
    return f"{reverse('web:home')}?{urlencode(query)}"
