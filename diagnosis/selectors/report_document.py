"""The words of a report's PDF, as one viewer may see them."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from PIL import Image as Picture

from diagnosis.models import (
    Image,
    LabResult,
    Prediction,
    ReportLetterhead,
    Review,
    Study,
    SymptomNote,
    User,
)
from diagnosis.pdf import document as pdf
from diagnosis.selectors.cases import hidden_reads, onset_before
from diagnosis.selectors.reports import SECTION_TITLES, Version, addenda_of
from diagnosis.selectors.studies import TimelineEntry, current_review, timeline

AI_ASSISTED = gettext_lazy("AI-assisted; not a diagnosis by itself")
WITHOUT_AI = gettext_lazy("Read without AI assistance")

SEEN = gettext_lazy(
    "A network gave a second opinion, which the reader had on screen. It is no diagnosis by itself."
)
NOT_SEEN = gettext_lazy("The reader had no second opinion of a network on screen.")
LEFT_OUT = gettext_lazy(
    "What a network said about this case, if anything, is left out: you have not read the case yourself yet."
)
TOO_LONG = gettext_lazy("Earlier entries are left out here; the portal shows all.")

PICTURE_SIDE = 1400
"""Pixels of the longer side: sharp on paper at the size in which it is printed, and a tenth of the original's bytes."""
TIMELINE_ENTRIES = 40


def report_document(version: Version, versions: Sequence[Version], *, viewer: User) -> pdf.ReportDocument:
    """``version`` of a report on paper; ``versions`` are all that ``viewer`` may see of it, oldest first.

    In the hospital's language: a sheet goes to people who chose none here, and is the same for whoever prints it. Raises
    ``FileNotFoundError`` when a picture is missing from the storage.
    """
    with override(version.review.study.site.language):
        return _document(version, versions, viewer)


def _document(version: Version, versions: Sequence[Version], viewer: User) -> pdf.ReportDocument:
    review = version.review
    study = review.study
    zone = study.site.tzinfo
    seen = _seen(review) if version.tells_opinion else []
    until = [other for other in versions if other.number <= version.number]
    letterhead = ReportLetterhead.objects.filter(site=study.site).first()
    return pdf.ReportDocument(
        language=study.site.language,
        site=study.site.name,
        address=letterhead.address.splitlines() if letterhead else [],
        logo=list(letterhead.logo_png or b"") if letterhead else [],
        status=str(version.status),
        notices=_notices(version, versions, zone),
        patient=_patient(study, zone),
        study=_study(study, zone),
        study_instance_uid=study.study_instance_uid,
        pictures=[_picture(number, image) for number, image in _images(review) if image.is_shown],
        sections=_sections(review, until, zone),
        reading=_reading(version),
        opinions=seen,
        opinion_sentence=str((SEEN if seen else NOT_SEEN) if version.tells_opinion else LEFT_OUT),
        limits=_limits(review) if seen else [],
        timeline=_timeline(review, viewer, zone),
        versions=[_version(other, zone) for other in until],
        signature=_signature(review, zone),
        footer=str(WITHOUT_AI if version.tells_opinion and not seen else AI_ASSISTED),
        identity=f"{study.patient.display_name} · {study.patient.mrn}",
        made=_("Printed %(moment)s") % {"moment": _moment(timezone.now(), zone)},
    )


def _moment(value: dt.datetime, zone: dt.tzinfo) -> str:
    return date_format(timezone.localtime(value, zone), "j M Y, H:i")


def _notices(version: Version, versions: Sequence[Version], zone: dt.tzinfo) -> list[str]:
    """What somebody must know who holds an old sheet in their hands."""
    notices = []
    study, newest = version.review.study, versions[-1]
    if not version.is_current:
        notices.append(
            _("This is version %(number)s of %(newest)s. The newest was signed on %(moment)s.")
            % {
                "number": version.number,
                "newest": newest.number,
                "moment": _moment(newest.review.signed_at, zone),
            }
        )
    if any(image.created_at > version.review.signed_at for image in study.images.all()):
        notices.append(
            _("Images were added to this study after this version was signed. They are not part of it.")
        )
    return notices


def _patient(study: Study, zone: dt.tzinfo) -> list[pdf.Fact]:
    patient = study.patient
    born = date_format(patient.birth_date, "j M Y") if patient.birth_date else _("not recorded")
    age = patient.age_on(timezone.localdate(study.time, zone))
    return [
        pdf.Fact(_("Name"), patient.display_name),
        pdf.Fact(_("Record number"), patient.mrn),
        pdf.Fact(
            _("Born"), _("%(born)s (%(age)s y)") % {"born": born, "age": age} if age is not None else born
        ),
        pdf.Fact(_("Sex"), patient.get_sex_display() or _("not recorded")),
    ]


def _study(study: Study, zone: dt.tzinfo) -> list[pdf.Fact]:
    taken = _("Taken") if study.performed_at else _("Uploaded")
    facts = [pdf.Fact(taken, f"{_moment(study.time, zone)} ({study.site.time_zone})")]
    if study.accession_number:
        facts.append(pdf.Fact(_("Accession"), study.accession_number))
    if study.study_description:
        facts.append(pdf.Fact(_("Description"), study.study_description))
    return facts


def _images(review: Review) -> list[tuple[int, Image]]:
    """With their numbers on the study page; those that came after the signature are not part of it."""
    numbered = enumerate(review.study.images.order_by("created_at", "id"), start=1)
    return [(number, image) for number, image in numbered if image.created_at <= review.signed_at]


def _name(number: int, image: Image) -> str:
    return ", ".join(
        part for part in (_("Image %(number)s") % {"number": number}, image.view_position) if part
    )


def _picture(number: int, image: Image) -> pdf.Picture:
    with image.preview.open("rb") as file, Picture.open(file) as preview:
        small = preview.convert("L")
        small.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Picture.Resampling.LANCZOS)
        content = io.BytesIO()
        small.save(content, "JPEG", quality=85)
    return pdf.Picture(_name(number, image), list(content.getvalue()))


def _sections(review: Review, until: Sequence[Version], zone: dt.tzinfo) -> list[pdf.Section]:
    sections = [
        pdf.Section(str(title), pdf.Paragraph.all_of(getattr(review, section)))
        for section, title in SECTION_TITLES.items()
        if getattr(review, section)
    ]
    if review.note:
        sections.append(pdf.Section(_("Note"), pdf.Paragraph.all_of(review.note)))
    for added in addenda_of(until):
        title = _("Addendum by %(person)s, %(moment)s") % {
            "person": added.reader.display_name,
            "moment": _moment(added.signed_at, zone),
        }
        sections.append(pdf.Section(title, pdf.Paragraph.all_of(added.addendum)))
    return sections


def _reading(version: Version) -> list[pdf.Fact]:
    review = version.review
    facts = [pdf.Fact(_("Label"), _(review.label_display))]
    if not version.tells_opinion:
        return facts
    if first := review.first_read:
        facts.append(
            pdf.Fact(
                _("Own read first"), f"{_(first.label_display)} ({first.get_confidence_display().lower()})"
            )
        )
    facts.append(pdf.Fact(_("Decision"), review.get_decision_display()))
    if review.reason:
        facts.append(pdf.Fact(_("Why"), review.get_reason_display()))
    return facts


def _predictions(review: Review) -> dict[str, Prediction]:
    ids = [seen["prediction"] for seen in review.seen_predictions if seen["label"]]
    found = Prediction.objects.filter(pk__in=ids).select_related("model_version").defer("activation_maps")
    return {str(prediction.pk): prediction for prediction in found}


def _seen(review: Review) -> list[pdf.Opinion]:
    """What the reader had on screen, image by image."""
    predictions = _predictions(review)
    names = {image.pk: _name(number, image) for number, image in _images(review)}
    return [
        pdf.Opinion(
            image=names.get(prediction.image_id, _("Image")),
            said=prediction.opinion_display,
            scores=", ".join(
                f"{_(display)} {number_format(round(value, 2), 2)}"
                for _code, display, value in prediction.scores
            ),
            model=seen["model_version"],
        )
        for seen in review.seen_predictions
        if (prediction := predictions.get(seen["prediction"]))
    ]


def _limits(review: Review) -> list[str]:
    models = {p.model_version_id: p.model_version for p in _predictions(review).values()}
    cards = [(str(model), model.card.get("limits", [])) for model in models.values()]
    return [f"{name}: {limit}" for name, limits in cards for limit in limits]


def _timeline(review: Review, viewer: User, zone: dt.tzinfo) -> list[pdf.Moment]:
    entries = sorted(timeline(review.study.patient, viewer=viewer), key=lambda entry: entry.at)
    notes = [entry.record for entry in entries if entry.kind == "symptoms"]
    studies = [entry.record.pk for entry in entries if entry.kind == "study"]
    hidden = hidden_reads(viewer, studies)
    moments = [
        pdf.Moment(
            when=_moment(entry.at, zone),
            day=_day(entry, notes, zone),
            what=_what(entry, review.study, is_hidden=entry.record.pk in hidden),
            is_later=_recorded_at(entry.record) > review.signed_at,
        )
        for entry in entries
    ]
    left_out = [pdf.Moment("", "", str(TOO_LONG))] if len(moments) > TIMELINE_ENTRIES else []
    return left_out + moments[-TIMELINE_ENTRIES:]


def _day(entry: TimelineEntry, notes: Sequence[SymptomNote], zone: dt.tzinfo) -> str:
    day = timezone.localdate(entry.at, zone)
    onset = onset_before(notes, day)
    return _("day %(number)s") % {"number": (day - onset).days} if onset else ""


def _recorded_at(record: Any) -> dt.datetime:
    return record.created_at if isinstance(record, Study) else record.entered_at


def _what(entry: TimelineEntry, current: Study, *, is_hidden: bool) -> str:
    match entry.record:
        case LabResult() as result:
            parts = [
                _("PCR, %(specimen)s: %(result)s")
                % {
                    "specimen": result.get_specimen_display().lower(),
                    "result": result.get_result_display().lower(),
                },
                f"Ct {number_format(result.ct_value)}" if result.ct_value is not None else "",
                result.laboratory,
            ]
        case SymptomNote() as note:
            parts = _symptoms(note)
        case Study() as study:
            parts = [_read(study, current, is_hidden=is_hidden)]
        case other:
            raise TypeError(f"The timeline of a report knows nothing of {type(other).__name__}.")
    return ", ".join(part for part in parts if part)


def _symptoms(note: SymptomNote) -> list[str]:
    coded = [
        f"{one.get_code_display()} ({one.get_severity_display().lower()})" for one in note.symptoms.all()
    ]
    return [
        _("Symptoms: %(symptoms)s") % {"symptoms": ", ".join(coded) or _("none coded")},
        _("first on %(day)s") % {"day": date_format(note.onset_date, "j M Y")} if note.onset_date else "",
        f"{number_format(note.temperature_c)} °C" if note.temperature_c is not None else "",
        f"SpO₂ {note.spo2_percent} %" if note.spo2_percent is not None else "",
        note.get_exposure_display().lower() if note.exposure else "",
        _("vaccination: %(vaccination)s") % {"vaccination": note.get_vaccination_display().lower()}
        if note.vaccination
        else "",
        " ".join(note.text.split()),
    ]


def _read(study: Study, current: Study, *, is_hidden: bool) -> str:
    if study.pk == current.pk:
        return _("Chest X-ray of this report")
    name = study.study_description or _("Chest X-ray")
    if is_hidden:
        return name
    review = current_review(study)
    return f"{name}: {_(review.label_display)}" if review else _("%(study)s: not read yet") % {"study": name}


def _version(version: Version, zone: dt.tzinfo) -> pdf.Version:
    review = version.review
    return pdf.Version(
        number=version.number,
        kind=review.get_kind_display(),
        who=review.reader.display_name,
        when=_moment(review.signed_at, zone),
        why=review.change_reason,
    )


def _signature(review: Review, zone: dt.tzinfo) -> str:
    local = timezone.localtime(review.signed_at, zone)
    offset = local.strftime("%z")
    return _("Signed by %(person)s on %(day)s at %(time)s (%(zone)s)") % {
        "person": review.reader.display_name,
        "day": date_format(local, "j M Y"),
        "time": f"{local:%H:%M:%S}",
        "zone": f"{review.study.site.time_zone}, UTC{offset[:3]}:{offset[3:]}",
    }
