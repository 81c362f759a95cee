"""What the forms have in common: they read what was typed. Whether it is right, the services say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _


def label_choices(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Codes of labels with their names; those of the portal's own networks in the language of whoever chooses."""
    return [(code, gettext(name)) for code, name in labels.items()]


class MomentInput(forms.DateTimeInput):
    """The browser's own picker of day and time, in the zone that the page shows."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class NumberField(forms.DecimalField):
    """A number written with a point or a comma.

    As text: a browser's number field sends nothing at all where it could not read what was typed.
    """

    widget = forms.TextInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs["inputmode"] = "decimal"
        self.error_messages["invalid"] = gettext_lazy("This is not a number. Write it like 38.5.")

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace(",", ".") if isinstance(value, str) else value)


class PortalForm(forms.Form):
    """Errors are said by the server in full sentences; the browser's own bubbles are switched off by ``novalidate``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.error_messages["required"] = _required(field)

    def submit(self, service: Callable[[], object]) -> bool:
        """Do what the form is for; ``False``, with the reasons beside the fields, when it was not done."""
        if not self.is_valid():
            return False
        try:
            service()
        except ValidationError as error:
            self.take_errors(error)
            return False
        return True

    def take_errors(self, error: ValidationError) -> None:
        """Put what a service found wrong next to the fields; the rest goes on top of the form."""
        messages = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, sentences in messages.items():
            for sentence in sentences:
                self.add_error(name if name in self.fields else None, sentence)


def _required(field: forms.Field) -> str:
    if not field.label:
        return _("Fill in this field.")
    label = str(field.label).lower()
    if isinstance(field, forms.ChoiceField):
        return _("Choose the %(label)s.") % {"label": label}
    return _("Enter the %(label)s.") % {"label": label}
