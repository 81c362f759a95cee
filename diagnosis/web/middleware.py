"""What holds for every page of the web interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils import timezone, translation
from django_htmx.http import HttpResponseClientRedirect

from diagnosis.errors import PersonError
from diagnosis.web.clocks import set_clock
from diagnosis.web.errors import person_error
from diagnosis.web.people import own_memberships

Handler = Callable[[HttpRequest], HttpResponse]


class PersonLanguageMiddleware(LocaleMiddleware):
    """The language that the person keeps with the account, else that of the browser: its cookie, or what it asks for.

    It stands after the authentication: who a request is from decides the language before anything is said.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        chosen = getattr(request.user, "language", "")
        if chosen and translation.check_for_language(chosen):
            translation.activate(chosen)
            request.LANGUAGE_CODE = translation.get_language()


class SiteTimeZoneMiddleware:
    """Pages show times by the clock that the reader chose, and else by that of the reader's hospital; a page about one patient
    then uses that patient's hospital.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(None):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        match = request.resolver_match
        if match is None or match.app_name != "web" or not request.user.is_authenticated:
            return
        memberships = own_memberships(request.user)
        if memberships:
            set_clock(request.user, memberships[0].site)


class PersonErrorMiddleware:
    """Shows the sentence of a ``PersonError`` that a page of the web interface did not place itself."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        match = request.resolver_match
        if isinstance(exception, PersonError) and match is not None and match.app_name == "web":
            return person_error(request, exception)
        return None


class FragmentLoginMiddleware:
    """Sends the whole page to the login when a fragment is asked for after the session has ended.

    A login form swapped into the middle of a page would leave the patient's data around it on the screen. After a POST the
    page stays, so that what was typed can be copied; the script says that the session has ended.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "HX-Request" not in request.headers or not self._is_login(response):
            return response
        if request.method == "POST" and "X-Poll" not in request.headers:
            return HttpResponse(status=401)
        return HttpResponseClientRedirect(redirect_to_login(self._page(request)).url)

    @staticmethod
    def _is_login(response: HttpResponse) -> bool:
        location = response.headers.get("Location", "")
        return response.status_code == 302 and urlsplit(location).path == resolve_url("account_login")

    @staticmethod
    def _page(request: HttpRequest) -> str:
        """The page that holds the fragment, if it is one of ours."""
        path = urlsplit(request.headers.get("HX-Current-URL", "/")).path
        try:
            resolve(path)
        except Resolver404:
            return "/"
        return path
