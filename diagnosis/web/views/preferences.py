"""How the pages speak to this person: language and clock."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from diagnosis.services.preferences import preferences_save
from diagnosis.web.forms.preferences import PreferencesForm
from diagnosis.web.requests import PersonRequest


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """The switch on every page: kept in a cookie, so that the login speaks it too, and with the account of who is logged in."""
    wanted = request.POST.get("language", "")
    if request.user.is_authenticated and wanted in dict(settings.LANGUAGES):
        preferences_save(actor=request.user, language=wanted)
    return set_language(request)


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: PersonRequest) -> HttpResponse:
    if request.method != "POST":
        own = {"language": request.user.language, "time_zone": request.user.time_zone}
        return render(request, "account/preferences.html", {"form": PreferencesForm(initial=own)})
    form = PreferencesForm(request.POST)
    if not form.submit(lambda: preferences_save(actor=request.user, **form.cleaned_data)):
        return render(request, "account/preferences.html", {"form": form}, status=422)
    if request.user.language:
        translation.activate(request.user.language)
    messages.success(request, _("Your preferences are kept."))
    response = redirect("web:preferences")
    # The login page of this browser speaks the language that was chosen last.
    if request.user.language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            request.user.language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            samesite="Lax",
        )
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    return response
