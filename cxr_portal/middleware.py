"""What holds for every request, whatever the page."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

Handler = Callable[[HttpRequest], HttpResponse]


class ForwardedAddressMiddleware:
    """Behind ``CXR_TRUSTED_PROXY_COUNT`` proxies, ``REMOTE_ADDR`` becomes the address that the outermost of them saw.

    Each proxy appends the address it was called from, so the entry is counted from the right: what a client writes into the
    header itself stands further left and is never used.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        count = settings.CXR_TRUSTED_PROXY_COUNT
        if count:
            addresses = [
                part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
            ]
            if len(addresses) >= count:
                request.META["REMOTE_ADDR"] = addresses[-count]
        return self.get_response(request)


class SessionAgeMiddleware:
    """Ends a session that was idle for ``SESSION_COOKIE_AGE`` or is older than ``CXR_SESSION_MAX_SECONDS``.

    The idle time is kept by saving the session again, at most once a minute: a page with thirty thumbnails does not write
    thirty times. A page that asks by itself says so with ``X-Poll`` and does not keep an abandoned session open.
    """

    save_every_seconds = 60

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            started = request.session.setdefault("started_at", now)
            if now - started > settings.CXR_SESSION_MAX_SECONDS:
                logout(request)
            elif "X-Poll" not in request.headers and (
                now - request.session.get("seen_at", 0) >= self.save_every_seconds
            ):
                request.session["seen_at"] = now
        return self.get_response(request)


class NoStoreMiddleware:
    """Nothing that a signed-in person sees stays in a cache of the browser or on the way."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.user.is_authenticated or "Authorization" in request.headers:
            patch_cache_control(response, private=True, no_store=True)
        return response
