"""Accounts, who works where, and sites. Changes go through the services, which put them on record."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.db.models import Field, Prefetch, QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.admin.base import AuditedSiteFilter, person
from diagnosis.models import Membership, Site, User
from diagnosis.policies import may_audit, may_manage_accounts
from diagnosis.services.accounts import account_save, membership_remove, membership_set, site_save


class AccountPermissions:
    """Superusers manage; administrators of a site look at what belongs to it. Nothing is deleted: the audit refers to it."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_audit(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_audit(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_accounts(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_accounts(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipForm(ModelForm):
    """The role at a site can be changed; another site is another membership."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "site" in self.fields:
            self.fields["site"].disabled = True


class MembershipInline(AccountPermissions, admin.TabularInline):
    model = Membership
    form = MembershipForm
    fields = ("site", "role")
    extra = 0

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_accounts(request.user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        queryset: Any = super().get_queryset(request)
        return queryset.auditable_by(request.user).select_related("site")


class WorksAtFilter(AuditedSiteFilter):
    """By the site at which people work."""

    def at_sites(self, queryset: QuerySet[User], sites: list[int]) -> QuerySet[User]:
        return queryset.filter(pk__in=Membership.objects.filter(site__in=sites).values("user"))


@admin.register(User)
class UserAdmin(AccountPermissions, DjangoUserAdmin):
    list_display = (
        "username",
        "display_name",
        "email",
        "works_at",
        "is_active",
        "is_superuser",
        "last_login",
    )
    list_filter = (WorksAtFilter, "is_active", "is_superuser")
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    actions = None
    inlines = (MembershipInline,)
    readonly_fields = ("is_staff", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (
            gettext_lazy("Access"),
            {
                "fields": ("is_active", "is_superuser", "is_staff"),
                "description": gettext_lazy(
                    "What somebody may do at a site is the role below. Staff, who may come in here, are "
                    "administrators of a site and superusers. Close an account by making it inactive: it is never deleted."
                ),
            },
        ),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
        (gettext_lazy("Person"), {"classes": ("wide",), "fields": ("first_name", "last_name", "email")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        memberships: Any = Membership.objects.all()
        shown = memberships.auditable_by(request.user).select_related("site")
        users = (
            super()
            .get_queryset(request)
            .prefetch_related(Prefetch("memberships", shown, to_attr="shown_memberships"))
        )
        return users if may_manage_accounts(request.user) else users.filter(pk__in=shown.values("user"))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_system)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        # Who may only look would be shown the hash itself.
        return [(None, {"fields": ("username",)}), *list(fieldsets)[1:]]

    @admin.display(description=gettext_lazy("name"), ordering="last_name")
    def display_name(self, user: User) -> str:
        return user.display_name

    @admin.display(description=gettext_lazy("works at"))
    def works_at(self, user: Any) -> str:
        """Only where the person who looks is told of it."""
        return (
            "; ".join(f"{shown.get_role_display()}, {shown.site}" for shown in user.shown_memberships) or "-"
        )

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        # "usable_password" and "password1" are fields of the form alone.
        changed = {"password" if "password" in name else name for name in form.changed_data}
        account_save(actor=person(request), user=obj, changed=sorted(changed))

    def save_formset(
        self,
        request: HttpRequest,
        form: ModelForm[User],
        formset: BaseInlineFormSet[Any, Any, Any],
        change: bool,
    ) -> None:
        saved = formset.save(commit=False)
        for membership in formset.deleted_objects:
            membership_remove(actor=person(request), membership=membership)
        for membership in saved:
            membership_set(
                actor=person(request), user=membership.user, site=membership.site, role=membership.role
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            if request.method == "POST" and response.status_code == 302:
                user = get_object_or_404(User, pk=id)
                account_save(actor=person(request), user=user, changed=["password"])
        return response


@admin.register(Site)
class SiteAdmin(AccountPermissions, admin.ModelAdmin):
    list_display = ("name", "time_zone", "reading_protocol", "deidentification")
    fields = (
        "name",
        "time_zone",
        "language",
        "reading_protocol",
        "opinion_for_others",
        "signing_asks_password",
        "claim_minutes",
        "deidentification",
    )
    actions = None

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "deidentification":
            kwargs["help_text"] = format_html(
                '{} <a href="{}">{}</a>',
                db_field.help_text,
                reverse("web:deidentification"),
                _("What goes and what stays"),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        sites: Any = super().get_queryset(request)
        return sites.auditable_by(request.user)

    def save_model(self, request: HttpRequest, obj: Site, form: ModelForm[Site], change: bool) -> None:
        site_save(actor=person(request), site=obj, changed=form.changed_data)
