"""Query sets that start from what a user may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from diagnosis.models.user import User


class SiteScopedQuerySet(models.QuerySet[Any]):
    """Rows that belong to a site; ``site_lookup`` on the model is the path from the row to that site."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Rows of the sites where ``user`` has a role; an outsider's lookup ends in 404, not 403."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        site_ids = user.memberships.values("site_id")
        return self.filter(**{f"{self.model.site_lookup}__in": site_ids})

    def auditable_by(self, user: User | AnonymousUser) -> Self:
        """Rows an administrator may inspect in the admin: all for a superuser, else those of administered sites."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        site_ids = user.memberships.filter(role="admin").values("site_id")
        return self.filter(**{f"{self.model.site_lookup}__in": site_ids})
