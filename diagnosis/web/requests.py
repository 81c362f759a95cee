"""What a view of the web interface is called with."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from diagnosis.models import User


class PersonRequest(HttpRequest):
    """A request of somebody who is logged in: ``LoginRequiredMiddleware`` lets no other through to these views."""

    user: User
    htmx: HtmxDetails
