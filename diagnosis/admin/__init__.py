"""The Django admin: accounts are managed here, clinical records are only looked at."""

from importlib import import_module
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy

from diagnosis.admin import (  # noqa: F401  They register themselves.
    accounts,
    audit,
    cases,
    clinical,
    held,
    operation,
    pacs,
    reports,
)

# The libraries' own pages would change rows past the services and their audit. Once imported here their admin modules have
# registered, and the admin's discovery does not run them again.
for library, model in (
    ("django.contrib.auth", "Group"),
    ("allauth.account", "EmailAddress"),
    ("knox", "AuthToken"),
):
    import_module(f"{library}.admin")
    admin.site.unregister(getattr(import_module(f"{library}.models"), model))

admin.site.site_header = admin.site.site_title = gettext_lazy("CXR Portal administration")
admin.site.index_title = gettext_lazy("Accounts, records and audit")


def _own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """One page to change one's password: the login's, whose change is on record and ends the tokens."""
    return redirect("account_change_password")


admin.site.password_change = _own_password  # type: ignore[assignment,method-assign]
