"""The DICOM systems of the hospitals. Changes go through the service, which puts them on record."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.admin.accounts import AccountPermissions
from diagnosis.admin.base import AuditedSiteFilter, ScopedAdmin, person
from diagnosis.models import PacsPeer, PacsRetrieval
from diagnosis.services.pacs import pacs_peer_save


class PacsPeerForm(ModelForm):
    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        account, site = values.get("account"), values.get("site")
        if account and site and not policies.may(account, policies.Act.UPLOAD, site):
            raise ValidationError(
                {
                    "account": _(
                        "This account may not upload images at %(site)s. Give it the role of a doctor there first."
                    )
                    % {"site": site}
                }
            )
        return values


@admin.register(PacsPeer)
class PacsPeerAdmin(AccountPermissions, admin.ModelAdmin):
    form = PacsPeerForm
    list_display = ("name", "site", "ae_title", "may_send", "query_protocol", "is_active")
    list_filter = (AuditedSiteFilter, "is_active", "may_send", "query_protocol")
    actions = None
    fieldsets = (
        (None, {"fields": ("site", "name", "account", "is_active")}),
        (gettext_lazy("Sends images here by C-STORE"), {"fields": ("ae_title", "may_send", "networks")}),
        (
            gettext_lazy("Is asked for images"),
            {"fields": ("query_protocol", "host", "port", "uses_tls", "retrieve_method")},
        ),
        (gettext_lazy("By DICOMweb"), {"fields": ("dicomweb_url", "secret_name")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PacsPeer]:
        peers: Any = super().get_queryset(request)
        return peers.auditable_by(request.user).select_related("site")

    def save_model(
        self, request: HttpRequest, obj: PacsPeer, form: ModelForm[PacsPeer], change: bool
    ) -> None:
        pacs_peer_save(actor=person(request), peer=obj, changed=form.changed_data)


@admin.register(PacsRetrieval)
class PacsRetrievalAdmin(ScopedAdmin):
    list_display = ("requested_at", "peer", "requested_by", "status", "outcomes")
    list_filter = ("status",)
    fields = (
        "peer",
        "requested_by",
        "study_instance_uid",
        "status",
        "attempts",
        "outcomes",
        "reason",
        "requested_at",
        "finished_at",
    )
