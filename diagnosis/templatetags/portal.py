"""What the templates say often: icons, chips, times, names."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JSONCatalog

from diagnosis.models import IncomingFile, Membership, Site, Study, User
from diagnosis.selectors.case_counts import case_counts_of
from diagnosis.web.chips import Chip
from diagnosis.web.outcomes import CHIPS, URGENCY, Outcome
from diagnosis.web.people import own_memberships
from diagnosis.web.waiting import FileGroup

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of the sprite in ``templates/_icons.html``; the text beside it says what it means."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="#icon-{}"></use></svg>', name
    )


@register.simple_tag
def chip(chip: Chip) -> SafeString:
    return format_html(
        '<span class="chip chip-{}">{}<span>{}</span></span>', chip.tone, icon(chip.icon), chip.text
    )


@register.filter
def first_shown(groups: Iterable[FileGroup], most: int) -> list[IncomingFile]:
    """The first of the waiting files that have a picture; hundreds may wait."""
    shown = (file for group in groups for file in group.files if file.is_shown)
    return list(islice(shown, most))


@register.filter
def by_chip(outcomes: Iterable[Outcome]) -> list[tuple[Chip, int]]:
    """How many files became what, what needs attention first."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    return [(CHIPS[outcome], counts[outcome]) for outcome in URGENCY if counts[outcome]]


@register.filter
def moment(value: dt.datetime | None) -> SafeString | str:
    """21 Nov 2026, 14:05 — the same to readers of every country; the title says in which zone."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        value.isoformat(timespec="seconds"),
        date_format(local, "l j F Y, H:i:s"),
        timezone.get_current_timezone_name(),
        date_format(local, "j M Y, H:i"),
    )


@register.filter
def clock(value: dt.datetime) -> SafeString:
    """14:05, for what happens within a day."""
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}">{}</time>', value.isoformat(timespec="seconds"), date_format(local, "H:i")
    )


@register.filter
def age_of_case(since: dt.datetime) -> str:
    """How long a study waits, in the largest unit that fits: “12 min”, “3 h”, “2 d”."""
    minutes = max(0, int((timezone.now() - since).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


@register.filter
def day(value: dt.date | None) -> SafeString | str:
    if value is None:
        return ""
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), date_format(value, "j M Y"))


@register.filter
def score(value: float) -> str:
    """A score of the network in 0..1. Not a percentage: people read those as the chance of disease."""
    return number_format(f"{value:.2f}", 2)  # It cuts off what is beyond, and does not round.


@register.filter
def hundredths(value: float) -> str:
    """A share in 0..1 as a length of 0 to 100, with a point whatever the language."""
    return f"{100 * value:.1f}"


@register.filter
def age_at(study: Study) -> int | None:
    return study.patient.age_on(timezone.localdate(study.time))


@cache
def _script_catalogue(language: str) -> SafeString | str:
    view = JSONCatalog()
    view.translation = DjangoTranslation(
        language, domain="djangojs", localedirs=[str(path) for path in settings.LOCALE_PATHS]
    )
    texts = view.get_catalog()
    return json_script(texts, "script-texts") if texts else ""


@register.simple_tag
def script_texts() -> SafeString | str:
    """What ``frontend/src/texts.ts`` reads: the texts of the scripts in the language of the page, as data that nothing runs."""
    return _script_catalogue(get_language() or settings.LANGUAGE_CODE)


@register.simple_tag
def clock_note(site: Site) -> SafeString | str:
    """Said beside times that are typed, where the person's clock is not the hospital's; without that, nothing."""
    if timezone.get_current_timezone_name() == site.time_zone:
        return ""
    return format_html(
        '<p class="hint">{}</p>',
        _("You see and type times by your own clock, %(own)s; that of the hospital is %(hospital)s.")
        % {"own": timezone.get_current_timezone_name(), "hospital": site.time_zone},
    )


@register.simple_tag
def memberships(user: User) -> list[Membership]:
    return own_memberships(user)


@register.simple_tag
def case_counts(user: User) -> dict[str, int]:
    """What waits for ``user``: second reads to take, and critical results that nobody has acknowledged; one query."""
    return case_counts_of(user)
