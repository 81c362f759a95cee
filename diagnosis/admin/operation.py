"""Models, and messages that wait for the broker: to be looked at by those who run the portal."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.admin.base import ReadOnlyAdmin
from diagnosis.admin.clinical import pretty
from diagnosis.models import ModelVersion, OutboxMessage


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """A model is registered and made active by `manage.py register_model`, which verifies its files."""

    list_display = ("name", "version", "is_active", "sha256", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "version", "=sha256")
    fields = ("name", "version", "is_active", "sha256", "label_list", "page_link", "card_text", "created_at")

    @admin.display(description=gettext_lazy("labels"))
    def label_list(self, model_version: ModelVersion) -> str:
        return ", ".join(label["display"] for label in model_version.labels)

    @admin.display(description=gettext_lazy("for readers"))
    def page_link(self, model_version: ModelVersion) -> str:
        address = reverse("web:model", args=[model_version.pk])
        return format_html('<a href="{}">{}</a>', address, _("The model card with its pictures"))

    @admin.display(description=gettext_lazy("model card"))
    def card_text(self, model_version: ModelVersion) -> str:
        return pretty(model_version.card)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Empty when all is well: a message that stays here for minutes means that the broker does not take it."""

    list_display = ("id", "task", "created_at")
    fields = ("task", "kwargs", "created_at")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)
