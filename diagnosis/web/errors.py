"""Pages for what went wrong: our own sentences, or a neutral one."""

from __future__ import annotations

import sys

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from diagnosis.errors import Conflict, PersonError
from diagnosis.full_disk import NOTHING_STORED, is_full_disk
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.models import User
from diagnosis.policies import NotAllowed
from diagnosis.services.access import denial_record


def person_error(request: HttpRequest, error: PersonError) -> HttpResponse:
    """The sentence of ``error``: 409 when the record changed meanwhile, 400 otherwise."""
    status = 409 if isinstance(error, Conflict) else 400
    return _page(request, status, _("This was not done"), str(error))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        400,
        _("The request could not be understood"),
        _(
            "Nothing was changed. Go back, reload the page and try again. If you pasted a very long text, shorten it."
        ),
    )


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    sentence = _("Your account does not allow this. Ask an administrator of your hospital.")
    if isinstance(exception, NotAllowed) and isinstance(exception.user, User):
        denial_record(actor=exception.user, act=exception.act, site=exception.site)
        sentence = str(exception)
    return _page(request, 403, _("Not allowed"), sentence)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(
        request,
        403,
        _("This page was too old"),
        _(
            "Nothing was changed: the form was opened before your last login, or without cookies. Copy what you typed, reload "
            "the page and send it again."
        ),
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        404,
        _("Not found"),
        _("There is nothing at this address that you may see. Look for the study in the worklist."),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Neutral on purpose: the log has the details. A database that does not answer is a 503, worth trying again, and a full disk
    a 507.
    """
    if is_full_disk(sys.exc_info()[1]):
        return _page(request, FULL_DISK, _("There is no room"), _(NOTHING_STORED))
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return _marked(render(request, "503.html", status=503))
    return _marked(render(request, "500.html", status=500))


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    context = {"status": status, "title": title, "sentence": sentence}
    return _marked(render(request, "errors/error.html", context, status=status))


def _marked(response: HttpResponse) -> HttpResponse:
    """A whole page: a script that asked for a fragment shows its sentence and swaps nothing."""
    response.headers["X-Error-Page"] = "1"
    return response
