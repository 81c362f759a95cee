"""One answer for everything that goes wrong: ``{"detail": sentence, "code": word}``, and ``errors`` by field where there are any.

Sentences that were written for the person are passed on. Of every other exception the log knows, and the caller gets a number
to tell an administrator.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.db import OperationalError
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as rest_framework_handler

from diagnosis.errors import Conflict, PersonError
from diagnosis.full_disk import NO_ROOM, NOTHING_STORED, is_full_disk
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.models import User
from diagnosis.policies import NotAllowed
from diagnosis.services.access import denial_record

logger = logging.getLogger(__name__)

NOT_FOUND = gettext_lazy("There is no such record, or it belongs to a hospital where you have no role.")
NOT_ACCEPTED = gettext_lazy(
    "What you sent was not accepted, and nothing was changed. Look at “errors” for the reason."
)
TOO_LARGE = gettext_lazy(
    "The request is too large. Send fewer or smaller fields; only uploaded images may be large."
)
TOO_MANY_FIELDS = gettext_lazy("The request has too many fields. Send only what the documentation names.")
TOO_MANY_FILES = gettext_lazy("The request holds too many files. Send them in several requests.")
NESTED_TOO_DEEPLY = gettext_lazy("The request is nested too deeply to be read.")
NOT_UNDERSTOOD = gettext_lazy("The request was not understood. Check its headers and its form.")


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    match error:
        case PersonError():
            is_conflict = isinstance(error, Conflict)
            return _answer(
                status.HTTP_409_CONFLICT if is_conflict else status.HTTP_400_BAD_REQUEST,
                str(error),
                error.code,
            )
        case ValidationError():
            return _invalid(_field_errors(error))
        case exceptions.ValidationError():
            return _invalid(error.detail)
        case Http404():
            return _answer(status.HTTP_404_NOT_FOUND, NOT_FOUND, "not_found")
        case PermissionDenied():
            if isinstance(error, NotAllowed) and isinstance(error.user, User):
                denial_record(actor=error.user, act=error.act, site=error.site)
            return _answer(
                status.HTTP_403_FORBIDDEN,
                str(error) or exceptions.PermissionDenied.default_detail,
                "permission_denied",
            )
        case exceptions.APIException():
            return _reshape(error, context)
        case RequestDataTooBig():
            return _answer(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, TOO_LARGE, "request_too_large")
        case TooManyFilesSent():
            return _answer(status.HTTP_400_BAD_REQUEST, TOO_MANY_FILES, "too_many_files")
        case TooManyFieldsSent():
            return _answer(status.HTTP_400_BAD_REQUEST, TOO_MANY_FIELDS, "too_many_fields")
        case SuspiciousOperation():
            return _answer(status.HTTP_400_BAD_REQUEST, NOT_UNDERSTOOD, "not_understood")
        case RecursionError():
            return _answer(status.HTTP_400_BAD_REQUEST, NESTED_TOO_DEEPLY, "not_understood")
        case _:
            return _unexpected(error)


def _answer(status_code: int, detail: object, code: str, **more: object) -> Response:
    return Response({"detail": str(detail), "code": code, **more}, status=status_code)


def _invalid(errors: Any) -> Response:
    if not isinstance(errors, dict):
        errors = {api_settings.NON_FIELD_ERRORS_KEY: errors}
    return _answer(status.HTTP_400_BAD_REQUEST, NOT_ACCEPTED, "invalid", errors=errors)


def _field_errors(error: ValidationError) -> dict[str, list[str]]:
    by_field = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    return {
        api_settings.NON_FIELD_ERRORS_KEY if field == NON_FIELD_ERRORS else field: messages
        for field, messages in by_field.items()
    }


def _reshape(error: exceptions.APIException, context: dict[str, Any]) -> Response:
    """The framework's own refusals, in our form and with its headers (``WWW-Authenticate``, ``Retry-After``)."""
    response = rest_framework_handler(error, context) or Response(status=error.status_code)
    response.data = {"detail": str(error.detail), "code": getattr(error.detail, "code", error.default_code)}
    return response


def _unexpected(error: Exception) -> Response:
    error_id = uuid.uuid4().hex[:8]
    logger.error("A request to the API failed.", exc_info=error, extra={"error_id": error_id})
    if is_full_disk(error):
        return _answer(FULL_DISK, _(NOTHING_STORED), NO_ROOM, error_id=error_id)
    if isinstance(error, OperationalError):
        return _answer(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            _("The database does not answer at the moment. Try again in a minute; error number %(error_id)s.")
            % {"error_id": error_id},
            "unavailable",
            error_id=error_id,
        )
    return _answer(
        status.HTTP_500_INTERNAL_SERVER_ERROR,
        _(
            "Something went wrong on our side. Try again, and if it fails again tell an administrator the "
            "error number %(error_id)s."
        )
        % {"error_id": error_id},
        "error",
        error_id=error_id,
    )
