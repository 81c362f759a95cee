"""The language and the clock of the person who is logged in."""

from __future__ import annotations

import zoneinfo
from functools import cache

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from diagnosis.web.forms.base import PortalForm


@cache
def _zones() -> list[tuple[str, str]]:
    """The zones that are named after a place, as IANA lists them."""
    places = (name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/"))
    return [(name, name.replace("_", " ")) for name in ("UTC", *sorted(places))]


class PreferencesForm(PortalForm):
    language = forms.ChoiceField(label=_("Language"), required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        help_text=_("Times are shown by this clock, and times that you type are understood by it."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", _("As the browser asks for")), *settings.LANGUAGES]
        self.fields["time_zone"].choices = [("", _("That of the hospital")), *_zones()]
