"""What every read-only page of the admin has in common."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from diagnosis.models import Site, User
from diagnosis.policies import ai_shown_to, may_audit
from diagnosis.services.inspections import record_inspect
from diagnosis.services.searches import query_normalise, search_record


def person(request: HttpRequest) -> User:
    """Who is at the screen: the admin lets nobody else in."""
    return cast(User, request.user)


class AuditedSiteFilter(admin.SimpleListFilter):
    """Narrows to one site, and names only those that the person may inspect: hospitals are not told of each other."""

    title = gettext_lazy("site")
    parameter_name = "site"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(str(site.pk), site.name) for site in Site.objects.auditable_by(request.user)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return self.at_sites(queryset, [int(site) for site, _ in self.lookup_choices if site == self.value()])

    def at_sites(self, queryset: QuerySet[Any], sites: list[int]) -> QuerySet[Any]:
        """``sites`` is the chosen one, or empty where it is not among those that may be chosen."""
        return queryset.filter(**{f"{queryset.model.site_lookup}__in": sites})


class ReadOnlyAdmin(admin.ModelAdmin):
    """Nothing is added, changed or deleted here, whoever asks."""

    actions = None
    change_form_template = "admin/record.html"
    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_audit(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        search_record(
            actor=person(request),
            records=str(self.model._meta.model_name),
            query=query_normalise(search_term),
        )
        return super().get_search_results(request, queryset, search_term)


class ScopedAdmin(ReadOnlyAdmin):
    """Records of the sites that the person administers; a superuser sees all sites.

    ``study_path`` leads to the study, like that of ``policies.ai_shown_to``, of records that tell what the network says, or
    when: who administers a site and also reads there finds them
    here once the second opinion on the case is no longer hidden.
    """

    study_path: str | None = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: Any = super().get_queryset(request)
        records = queryset.auditable_by(request.user)
        return (
            records if self.study_path is None else records.filter(ai_shown_to(request.user, self.study_path))
        )


class ClinicalAdmin(ScopedAdmin):
    """Opening one record is itself on record."""

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        record_inspect(actor=person(request), record=obj)
        return super().render_change_form(request, context, add, change, form_url, obj)
