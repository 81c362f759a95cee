"""Which site a request means."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _

from diagnosis.models import Site, User
from diagnosis.policies import Act, sites_where


def site_or_only_one(user: User, act: Act, site: Site | None) -> Site:
    """``site``, or, where the request names none, the only one where ``user`` may do ``act``.

    Raises ``PermissionDenied`` when there is none, ``ValidationError`` when there are several to choose from.
    """
    if site is not None:
        return site
    sites = list(sites_where(user, act)[:2])
    if not sites:
        raise PermissionDenied(
            _("Your role does not allow you to %(act)s anywhere. Ask an administrator.") % {"act": act}
        )
    if len(sites) > 1:
        raise ValidationError(
            {
                "site": _("You may %(act)s at several sites. Send the id of the one that is meant.")
                % {"act": act}
            }
        )
    return sites[0]
