"""By whose clock a page tells the time."""

from __future__ import annotations

import zoneinfo

from django.utils import timezone

from diagnosis.models import Site, User


def own_zone(user: User) -> zoneinfo.ZoneInfo | None:
    """The zone that ``user`` chose, or None. One that this machine does not know (any more) counts as none."""
    try:
        return zoneinfo.ZoneInfo(user.time_zone) if user.time_zone else None
    except zoneinfo.ZoneInfoNotFoundError:
        return None


def set_clock(user: User, site: Site) -> None:
    """From here on this request shows times, and reads those that are typed, in the zone that ``user`` chose, or else in that of
    the hospital whose records the page shows.
    """
    timezone.activate(own_zone(user) or site.tzinfo)
