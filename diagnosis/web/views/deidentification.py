"""What goes and what stays in a de-identified copy: read from the rules that write it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis.intake.deidentification.rules import EDITION
from diagnosis.intake.deidentification.tables import kept_by_group, read_here, removed
from diagnosis.models import Site
from diagnosis.web.requests import PersonRequest


@require_safe
def rules_page(request: PersonRequest) -> HttpResponse:
    sites = [site for site in Site.objects.visible_to(request.user) if site.stores_deidentified]
    context = {
        "edition": EDITION,
        "sites": sites,
        "read_here": read_here(),
        "removed": removed(),
        "kept": kept_by_group(),
    }
    return render(request, "deidentification/rules.html", context)
