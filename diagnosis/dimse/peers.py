"""Who may send images here."""

from __future__ import annotations

from diagnosis.models import PacsPeer


class UnknownPeer(Exception):  # noqa: N818  Named for what the log says.
    """Nobody is known by this AE title at this address; ``str`` is the reason, for the log."""


def sending_peer(*, ae_title: str, address: str) -> PacsPeer:
    """The active peer with this AE title that may send from this IP address. Raises ``UnknownPeer``."""
    named = list(
        PacsPeer.objects.filter(
            ae_title=ae_title, is_active=True, may_send=True, account__is_active=True
        ).select_related("site", "account")
    )
    if not named:
        raise UnknownPeer("No active peer that may send has this AE title.")
    found = [peer for peer in named if peer.calls_from(address)]
    if not found:
        raise UnknownPeer("The peer with this AE title does not call from this address.")
    if len({peer.site_id for peer in found}) > 1:
        raise UnknownPeer(
            "Peers of several sites have this AE title and address, so whose images these are is not known."
        )
    return found[0]
