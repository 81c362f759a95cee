"""Files that a script sends in parts, and that go on after a broken connection."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from diagnosis import policies
from diagnosis.intake.resumable import own_uploads, upload_examine, upload_tell
from diagnosis.models import ResumableUpload, Site, UploadState
from diagnosis.web.outcomes import Outcome, most_urgent
from diagnosis.web.params import row_number
from diagnosis.web.requests import PersonRequest
from diagnosis.web.tus import tus_response


def _for_scripts(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A script that asks after the session has ended is told so, instead of being led to a login page."""

    @login_not_required
    @wraps(view)
    def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponse(_("Log in first."), status=401, content_type="text/plain; charset=utf-8")
        return view(cast(PersonRequest, request), **kwargs)

    return checked


@_for_scripts
@require_http_methods(["POST", "OPTIONS"])
def parts(request: PersonRequest) -> HttpResponse:
    """Begin an upload; the hospital is in the query, as its number."""
    if request.method == "OPTIONS":
        return tus_response(request)[0]
    site = get_object_or_404(Site.objects.visible_to(request.user), pk=row_number(request.GET.get("site")))
    policies.require(request.user, policies.Act.UPLOAD, site)
    return _with_result(request, *tus_response(request, site=site))


@_for_scripts
@require_http_methods(["HEAD", "PATCH", "DELETE"])
def part(request: PersonRequest, upload_id: uuid.UUID) -> HttpResponse:
    """How far an upload is; its next part; its end."""
    return _with_result(request, *tus_response(request, upload_id=upload_id))


@_for_scripts
@require_POST
def result(request: PersonRequest, upload_id: uuid.UUID) -> HttpResponse:
    """What became of a complete upload, for a sender who lost the answer: the same one, however often it is asked for."""
    upload = own_uploads(request.user).filter(pk=upload_id).first()
    if upload is None or upload.state == UploadState.RECEIVING:
        raise Http404
    return _result(request, upload.pk)


def _with_result(
    request: PersonRequest, response: HttpResponse, upload: ResumableUpload | None
) -> HttpResponse:
    """After the last part the answer is what became of the file."""
    if (
        upload is None
        or upload.state != UploadState.COMPLETE
        or request.method not in {"POST", "PATCH"}
        or response.status_code >= 400
    ):
        return response
    told = _result(request, upload.pk)
    for name, value in response.headers.items():
        if name.startswith(("Upload-", "Tus-", "Location")):
            told.headers[name] = value
    # A sender that knows the protocol alone expects success: the bytes did arrive.
    told.status_code = 201 if request.method == "POST" else 200
    return told


def _result(request: PersonRequest, upload_id: uuid.UUID) -> HttpResponse:
    upload = upload_examine(upload_id=upload_id)
    if upload is None:
        raise Http404
    if not upload.is_done:
        count = len(upload.receipts)
        return HttpResponse(
            ngettext(
                "Being examined: %(number)s file so far", "Being examined: %(number)s files so far", count
            )
            % {"number": count}
            if count
            else _("Being examined"),
            status=202,
            content_type="text/plain; charset=utf-8",
            headers={"X-Outcome": UploadState.EXAMINING},
        )
    outcomes = [Outcome.of_stored(receipt) for receipt in upload.receipts]
    if len(outcomes) == 1 and outcomes[0].file_name == upload.file_name:
        response = render(request, "uploads/_outcome.html", {"outcome": outcomes[0]})
        response.headers["X-Code"] = upload.receipts[0]["code"]
    else:
        response = render(request, "uploads/_archive.html", {"upload": upload, "outcomes": outcomes})
    counts = Counter(outcome.outcome for outcome in outcomes)
    response.headers["X-Outcome"] = most_urgent(counts)
    response.headers["X-Counts"] = json.dumps(counts)
    upload_tell(upload=upload)
    return response
