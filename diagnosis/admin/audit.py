"""Who saw or changed what: searchable by patient, user, action and date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.admin.base import AuditedSiteFilter, ScopedAdmin
from diagnosis.admin.clinical import pretty
from diagnosis.models import AuditEvent, Study
from diagnosis.policies import Act, ai_shown_to, sites_where


class DateRangeFilter(admin.FieldListFilter):
    """From one day to another, both included, in the time zone of the page."""

    template = "admin/date_range_filter.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given: Any = self.used_parameters
        self.texts = {name: (given.get(name) or [""])[-1] for name in self._names()}

    def _names(self) -> tuple[str, str]:
        return f"{self.field_path}_from", f"{self.field_path}_to"

    def expected_parameters(self) -> list[str | None]:
        return [*self._names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (_day(text) for text in self.texts.values())
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(first)})
        if last:
            queryset = queryset.filter(**{f"{self.field_path}__lt": _midnight(last + dt.timedelta(days=1))})
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """One form; what else is filtered and searched for goes along in hidden fields."""
        others = {key: values for key, values in changelist.filter_params.items() if key not in self.texts}
        yield {
            "fields": [
                {"name": name, "text": text, "value": self.texts[name]}
                for name, text in zip(self._names(), (_("From"), _("To")), strict=True)
            ],
            "hidden": [(key, value) for key, values in others.items() for value in values],
            "clear": changelist.get_query_string(remove=list(self.texts)) if any(self.texts.values()) else "",
        }


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise IncorrectLookupParameters(error) from error


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


@admin.register(AuditEvent)
class AuditEventAdmin(ScopedAdmin):
    list_display = (
        "time",
        "user",
        "role",
        "action",
        "patient",
        "outcome",
        "object_text",
        "site",
        "ip_address",
    )
    list_filter = (("occurred_at", DateRangeFilter), AuditedSiteFilter, "succeeded", "action")
    list_select_related = ("patient", "site")
    date_hierarchy = "occurred_at"
    ordering = ("-seq",)
    search_fields = (
        "patient__person_name", "patient__mrn", "actor_name", "actor__last_name", "=object_id", "=request_id",
    )  # fmt: skip
    search_help_text = gettext_lazy(
        "Patient's name or record number, user, or the whole id of an object or a request"
    )
    fields = (
        "seq", "occurred_at", "action", "outcome", "actor_name", "actor_role", "site", "patient", "object_text",
        "details_text", "ip_address", "request_id", "previous_hash", "hash",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Without the patients on one of whose cases the second opinion is hidden from this person: events name it, and
        tell when it was there.
        """
        events = super().get_queryset(request)
        if not sites_where(request.user, Act.SIGN_REVIEW).exists():
            return events
        hidden = Study.objects.filter(~ai_shown_to(request.user))
        return events.exclude(patient__in=hidden.values("patient"))

    @admin.display(ordering="seq")
    def time(self, event: AuditEvent) -> str:
        """To the second: what follows what is the point of an audit."""
        time = timezone.localtime(event.occurred_at)
        return format_html('<span class="nowrap">{}</span>', f"{time:%Y-%m-%d %H:%M:%S}")

    @admin.display(ordering="actor_name")
    def user(self, event: AuditEvent) -> str:
        return event.actor_name or "-"

    @admin.display(ordering="actor_role")
    def role(self, event: AuditEvent) -> str:
        return event.actor_role or "-"

    @admin.display(description=gettext_lazy("object"))
    def object_text(self, event: AuditEvent) -> str:
        """A link where the record has a page; the beginning of an id is enough to tell two apart."""
        if not event.object_type:
            return "-"
        text = f"{event.object_type} {event.object_id[:8]}"
        try:
            address = reverse(f"admin:diagnosis_{event.object_type}_change", args=[event.object_id])
        except NoReverseMatch:
            return text
        return format_html('<a href="{}" title="{}">{}</a>', address, event.object_id, text)

    @admin.display(description=gettext_lazy("outcome"), ordering="succeeded")
    def outcome(self, event: AuditEvent) -> str:
        return _("Succeeded") if event.succeeded else _("Failed")

    @admin.display(description=gettext_lazy("details"))
    def details_text(self, event: AuditEvent) -> str:
        return pretty(event.details)
