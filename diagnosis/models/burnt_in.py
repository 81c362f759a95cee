"""Text that is part of a picture: whether a file says that there is some, or is of a kind that often has it."""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis.sentences import Sentence, Words


class BurntInText(models.TextChoices):
    """What is known of text in the pixels (PS3.3 C.7.6.1.1.2, Burned In Annotation)."""

    SAID = "said", gettext_lazy("The file says that there is text")
    LIKELY = "likely", gettext_lazy("Pictures of this kind often have text")
    NOT_SAID = "not_said", gettext_lazy("The file does not say")
    NONE = "none", gettext_lazy("The file says that there is none")


_LOOK = Sentence(gettext_noop("Look at the picture before it leaves the hospital."))

#: What is the matter, why it matters, what to do.
BURNT_IN_SENTENCES: Mapping[BurntInText, Words] = {
    BurntInText.SAID: Sentence(
        gettext_noop(
            "The file says that text is burnt into the picture. It may name the patient, and no removal of "
            "the header takes it away. {look}"
        ),
        look=_LOOK,
    ),
    BurntInText.LIKELY: Sentence(
        gettext_noop(
            "Pictures of this kind (screen captures, scanned films, ultrasound) often have text burnt in, "
            "which may name the patient. It is not removed: only what is written beside the picture is. "
            "{look}"
        ),
        look=_LOOK,
    ),
    BurntInText.NOT_SAID: Sentence(
        gettext_noop(
            "Nobody says whether text is burnt into the picture. It is not removed: only what is written "
            "beside the picture is. {look}"
        ),
        look=_LOOK,
    ),
    BurntInText.NONE: "",
}
#: Secondary Capture (PS3.4 B.5): what came from a screen, a scanner or a film.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Modalities (PS3.3 C.7.3.1.1.1) whose devices write into the picture, or whose pictures come from elsewhere.
_OFTEN = frozenset(
    {"SC", "OT", "US", "IVUS", "XA", "RF", "ES", "GM", "XC", "HC", "DG", "NM", "SM", "DMS", "EPS", "ECG"}
)


def burnt_in_text(header: Mapping[str, Any]) -> BurntInText:
    """``header`` is a ``DicomHeader`` as JSON holds it, empty for a picture without one."""
    match header.get("burned_in_annotation", "").strip().upper():
        case "YES":
            return BurntInText.SAID
        case "NO":
            return BurntInText.NONE
    sop_class = header.get("sop_class_uid", "")
    is_captured = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}.")
    if is_captured or header.get("modality", "").upper() in _OFTEN:
        return BurntInText.LIKELY
    return BurntInText.NOT_SAID
