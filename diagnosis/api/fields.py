"""Fields that are stricter than the framework's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers


class AwareDateTimeField(serializers.DateTimeField):
    """A time with its offset from UTC. Guessing the zone of a time without one would silently be wrong by hours."""

    default_error_messages = {
        "naive": gettext_lazy(
            "Give the time with its offset from UTC, for example 2026-07-01T09:30:00+02:00 or 2026-07-01T07:30:00Z."
        )
    }

    def enforce_timezone(self, value: dt.datetime) -> dt.datetime:
        if timezone.is_naive(value):
            self.fail("naive")
        return super().enforce_timezone(value)


class VisibleRecordField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of a record that the caller may see; another hospital's record is answered like one that does not exist."""

    default_error_messages = {
        "does_not_exist": gettext_lazy(
            "There is no such record, or it belongs to a hospital where you have no role."
        ),
    }

    def get_queryset(self) -> QuerySet[Model]:
        queryset: Any = super().get_queryset()
        return queryset.visible_to(self.context["request"].user)


class InputSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt or a forbidden field must not be passed over in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name: [_("This field is not known here. Remove it.")] for name in unknown}
                )
        return super().to_internal_value(data)
