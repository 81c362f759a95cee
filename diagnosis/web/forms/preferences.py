"""The language and the clock of the person who is logged in."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import TYPE_CHECKING

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from diagnosis.web.forms.base import PortalForm

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@cache
def _zones() -> list[tuple[str, StrOrPromise]]:
    """The zones that are named after a place, as IANA lists them."""
    places = (name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/"))
    named = ((name, name.replace("_", " ")) for name in ("UTC", *sorted(places)))
    return [("", _("That of the hospital")), *named]


def _languages() -> list[tuple[str, StrOrPromise]]:
    return [("", _("As the browser asks for")), *settings.LANGUAGES]


class PreferencesForm(PortalForm):
    language = forms.ChoiceField(label=_("Language"), choices=_languages, required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=_zones,
        required=False,
        help_text=_("Times are shown by this clock, and times that you type are understood by it."),
    )
