"""Who is calling from where, for the audit row: set by the middleware, read by ``audit_record``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class RequestContext:
    ip_address: str | None = None
    request_id: str = ""


_NO_REQUEST = RequestContext()
_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current() -> RequestContext:
    return _current.get() or _NO_REQUEST


@contextmanager
def calling_from(ip_address: str) -> Iterator[RequestContext]:
    """What is done inside is on record as called from ``ip_address``: for callers that do not come over HTTP."""
    context = RequestContext(ip_address=ip_address, request_id=uuid.uuid4().hex)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


class RequestContextMiddleware:
    """Gives every request an id and remembers its address while it is handled.

    The address is ``REMOTE_ADDR``; behind trusted proxies ``ForwardedAddressMiddleware`` has corrected it before.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        context = RequestContext(
            ip_address=request.META.get("REMOTE_ADDR") or None, request_id=uuid.uuid4().hex
        )
        token = _current.set(context)
        try:
            response = self.get_response(request)
        finally:
            _current.reset(token)
        response["X-Request-ID"] = context.request_id
        return response
