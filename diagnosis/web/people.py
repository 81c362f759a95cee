"""Who is asking: what one request needs of the person again and again."""

from __future__ import annotations

from diagnosis import policies
from diagnosis.models import Membership, Site, User

_KEPT = "_memberships_of_this_request"


def own_memberships(user: User) -> list[Membership]:
    """Where ``user`` works, by the hospital's name; one query, however often a request asks. For what is shown: an act asks
    ``policies`` anew.
    """
    kept: list[Membership] | None = getattr(user, _KEPT, None)
    if kept is None:
        kept = list(user.memberships.select_related("site").order_by("site__name"))
        setattr(user, _KEPT, kept)
    return kept


def offers(user: User, act: policies.Act, site: Site) -> bool:
    """Whether a page offers ``act`` at ``site`` to ``user``, by ``own_memberships``: no query, however much a page offers."""
    return site in policies.sites_of(own_memberships(user), act)
