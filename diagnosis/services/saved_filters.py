"""The views of the worklist that a person keeps. They are the person's own, hold no record, and are not audited."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnosis.errors import Conflict
from diagnosis.models import MOST_SAVED_FILTERS, SavedFilter, User
from diagnosis.services.searches import query_normalise

LONGEST_NAME = 40


@transaction.atomic
def filter_save(*, actor: User, name: str, query: Mapping[str, str]) -> SavedFilter:
    """Keep ``query`` under ``name``; a filter of the same name is replaced. Raises ``ValidationError`` with field errors."""
    User.objects.select_for_update().get(pk=actor.pk)  # Two tabs at once must not exceed the number together.
    name = query_normalise(name)
    if not name:
        raise ValidationError({"name": _("Give the view a name.")})
    if len(name) > LONGEST_NAME:
        raise ValidationError({"name": _("Use at most %(number)s characters.") % {"number": LONGEST_NAME}})
    own = SavedFilter.objects.filter(user=actor)
    own.filter(deleted_at__isnull=False).delete()
    kept = own.filter(name=name).first()
    if kept is None and own.count() >= MOST_SAVED_FILTERS:
        raise ValidationError(
            {
                "name": _("You keep %(number)s views already. Delete one that you need no more.")
                % {"number": MOST_SAVED_FILTERS}
            }
        )
    kept = kept or SavedFilter(user=actor, name=name)
    kept.query = dict(query)
    kept.save()
    return kept


@transaction.atomic
def filter_delete(*, actor: User, saved: SavedFilter) -> SavedFilter:
    """Take the view off the list; ``filter_restore`` brings it back until another one is saved."""
    SavedFilter.objects.filter(pk=saved.pk, user=actor, deleted_at__isnull=True).update(
        deleted_at=timezone.now()
    )
    return saved


@transaction.atomic
def filter_restore(*, actor: User, saved: SavedFilter) -> SavedFilter:
    """Undo the deletion. Raises ``Conflict`` when a view of this name was saved meanwhile."""
    User.objects.select_for_update().get(pk=actor.pk)
    own = SavedFilter.objects.filter(user=actor)
    if own.filter(name=saved.name, deleted_at__isnull=True).exclude(pk=saved.pk).exists():
        raise Conflict(
            _("You have another view named “%(name)s” by now. Nothing was changed.") % {"name": saved.name}
        )
    if not own.filter(pk=saved.pk).update(deleted_at=None):
        raise Conflict(_("This view is gone for good: another one was saved since. Save it anew."))
    return saved


def filter_default(*, actor: User, key: str) -> None:
    """The view that the worklist opens with from now on."""
    User.objects.filter(pk=actor.pk).update(worklist_view=key)
