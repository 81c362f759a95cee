"""A signed report on paper: what it says, to whom, and that it is on record."""

import io
import re

import pypdf
import pytest
from django.core.files.storage import default_storage
from PIL import Image as Picture

from diagnosis.errors import NotPossible
from diagnosis.models import AuditEvent, ReportLetterhead, Review
from diagnosis.pdf.document import UNPRINTABLE, Paragraph
from diagnosis.services.report_opening import report_open, report_print
from diagnosis.services.reports import review_addend, review_correct
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    StudyFactory,
    SymptomNoteFactory,
)

LIMIT = "It knows three classes and nothing else."


@pytest.fixture
def study(site):
    return StudyFactory(
        patient=PatientFactory(site=site, person_name="Yamada^Tarou", mrn="MRN-77"),
        status="read",
        accession_number="ACC-5",
        study_instance_uid="2.25.329800735698586629295641978511506172918",
    )


@pytest.fixture
def signed(study, radiologist):
    prediction = PredictionFactory(image=ImageFactory(study=study, view_position="PA"), done=True)
    model = prediction.model_version
    model.card = {**model.card, "limits": [LIMIT]}
    model.save()
    return ReviewFactory(
        study=study,
        reader=radiologist,
        decision="override",
        reason="artefact",
        label="normal",
        label_display="Normal",
        findings="The #lungs are *clear* <b>now</b>.",
        impression="Normal chest.",
        comparison="None.",
        note="A skin fold.",
        seen_predictions=[
            {
                "prediction": str(prediction.pk),
                "label": "covid19",
                "possible_labels": ["covid19"],
                "model_version": str(model),
            }
        ],
    )


def read(pdf: bytes) -> tuple[str, pypdf.PdfReader]:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split()), reader


def text_of(actor, review) -> str:
    return read(report_print(actor=actor, review=review))[0]


def test_the_pdf_says_whose_report_it_is_what_was_found_and_who_signed(doctor, signed):
    said = text_of(doctor, signed)
    for words in (
        "Saint Example",
        "Yamada, Tarou",
        "MRN-77",
        "ACC-5",
        "2.25.329800735698586629295641978511506172918",
        "Findings The #lungs are *clear* <b>now</b>.",
        "Impression Normal chest.",
        "Comparison None.",
        "Note A skin fold.",
        "Label Normal",
        "Overrode the second opinion",
        "Artefact or device in the image",
        "Signed by Rafael Reader on",
        "(Europe/Madrid, UTC+0",
        "AI-assisted; not a diagnosis by itself",
        "Page 1 of",
    ):
        assert words in said


def test_the_second_opinion_stands_there_with_its_model_and_limits(doctor, signed):
    said = text_of(doctor, signed)
    assert "Image 1, PA COVID-19 COVID-19 0.81, Viral Pneumonia 0.12, Normal 0.07 covid3 0.0.1" in said
    assert f"covid3 0.0.1: {LIMIT}" in said


def test_a_read_without_a_second_opinion_does_not_claim_one(doctor, study):
    review = ReviewFactory(study=study, impression="Normal.")
    said = text_of(doctor, review)
    assert "The reader had no second opinion of a network on screen." in said
    assert "Read without AI assistance" in said
    assert "AI-assisted" not in said


def test_who_has_not_read_the_case_gets_no_word_of_the_network(second_radiologist, signed, site):
    """The study is to be read again, at a site that reads first: its first report is open, the network is not."""
    site.reading_protocol = "read-first"
    site.save()
    type(signed.study).objects.update(status="to_read")
    signed.study.refresh_from_db()
    said = text_of(second_radiologist, signed)
    assert "Label Normal" in said
    assert "you have not read the case yourself yet" in said
    for leak in ("COVID-19", "0.81", "covid3", LIMIT, "Overrode", "Artefact"):
        assert leak not in said
    assert not AuditEvent.objects.get(action="report_printed").details["with_opinion"]


def test_the_timeline_tells_the_day_of_the_illness_and_what_came_later(doctor, signed, study):
    LabResultFactory(patient=study.patient, ct_value="24.5", laboratory="Central")
    SymptomNoteFactory(patient=study.patient, spo2_percent=94, text="Dry cough.")
    said = text_of(doctor, signed)
    assert "PCR, nasopharyngeal swab: detected, Ct 24.5, Central (after this version was signed)" in said
    assert "SpO₂ 94 %, Dry cough." in said
    assert "Chest X-ray of this report" in said


def test_an_addendum_and_a_correction_are_told_and_an_old_sheet_says_that_it_is_old(
    doctor, radiologist, signed
):
    added = review_addend(actor=radiologist, study=signed.study, follows=signed, addendum="Told Dr Doctor.")
    corrected = review_correct(
        actor=radiologist,
        study=signed.study,
        follows=added,
        label="normal",
        reason="artefact",
        note="A skin fold.",
        findings="The lungs are clear.",
        impression="Normal chest.",
        change_reason="A typing error.",
    )
    newest = text_of(doctor, corrected)
    assert "Corrected" in newest
    assert "Addendum by Rafael Reader" in newest
    assert "Told Dr Doctor." in newest
    assert "A typing error." in newest
    assert "This is version" not in newest
    oldest = text_of(doctor, signed)
    assert "This is version 1 of 3. The newest was signed on" in oldest
    assert "Told Dr Doctor." not in oldest


def test_an_image_that_came_after_the_signature_is_named_and_not_shown(doctor, signed):
    ImageFactory(study=signed.study)
    pdf = report_print(actor=doctor, review=signed)
    said, reader = read(pdf)
    assert "Images were added to this study after this version was signed." in said
    assert sum(len(page.images) for page in reader.pages) == 1


def test_the_letterhead_has_the_address_and_the_logo(doctor, signed, site):
    logo = io.BytesIO()
    Picture.new("RGB", (40, 20), "navy").save(logo, "PNG")
    ReportLetterhead.objects.create(site=site, address="Calle Mayor 1\nMadrid", logo_png=logo.getvalue())
    said, reader = read(report_print(actor=doctor, review=signed))
    assert "Calle Mayor 1 Madrid" in said
    assert sum(len(page.images) for page in reader.pages) == 2


def test_every_page_says_whose_it_is_and_the_file_itself_names_nobody(doctor, signed):
    long = review_addend(
        actor=signed.reader, study=signed.study, follows=signed, addendum="More words.\n" * 200
    )
    _, reader = read(report_print(actor=doctor, review=long))
    assert len(reader.pages) > 2
    for page in reader.pages[1:]:
        assert "Yamada, Tarou · MRN-77" in page.extract_text()
    metadata = f"{dict(reader.metadata)} {reader.xmp_metadata.stream.get_data().decode()}"
    assert "Yamada" not in metadata
    assert "MRN-77" not in metadata


def test_screen_readers_get_the_parts_and_the_names_of_the_pictures(doctor, signed):
    _, reader = read(report_print(actor=doctor, review=signed))
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in reader.root_object
    assert "pdfuaid" in reader.xmp_metadata.stream.get_data().decode()


def test_arabic_runs_leftwards_in_joined_letters_on_every_machine(doctor, study):
    """Its font comes with the portal."""
    assert Paragraph.all_of("\u0635\u0627\u0641 PA") == [Paragraph("\u0635\u0627\u0641 PA", rtl=True)]
    said = text_of(doctor, ReviewFactory(study=study, findings="\u0635\u0627\u0641"))
    assert "\u0635\u0627\u0641" in said
    assert UNPRINTABLE not in said


def test_a_name_in_signs_is_drawn_or_where_the_machine_has_no_font_for_it_spelt_out(doctor, study):
    study.patient.person_name = "Yamada^Tarou=山田^太郎"
    study.patient.save()
    said = text_of(doctor, ReviewFactory(study=study))
    spelt = "[U+5C71][U+7530] [U+592A][U+90CE]"
    assert "Yamada, Tarou 山田 太郎" in said or (f"Yamada, Tarou {spelt}" in said and UNPRINTABLE in said)


def test_a_sign_that_no_font_has_is_spelt_out_and_never_dropped(doctor, study):
    review = ReviewFactory(study=study, findings="Seen \U000f1234 there,\x07 and é.")
    said = text_of(doctor, review)
    assert "Seen [U+F1234] there, and é." in said
    assert UNPRINTABLE in said


def test_a_picture_that_is_missing_from_the_storage_makes_no_report_without_it(doctor, signed):
    default_storage.delete(signed.study.images.get().preview.name)
    with pytest.raises(NotPossible, match="The PDF could not be made"):
        report_print(actor=doctor, review=signed)
    assert not AuditEvent.objects.filter(action="report_printed").exists()


def test_each_opening_is_on_record(doctor, signed):
    report_open(actor=doctor, study=signed.study)
    report_print(actor=doctor, review=signed)
    events = AuditEvent.objects.filter(actor=doctor).order_by("seq")
    assert [event.action for event in events] == ["report_opened", "report_printed"]
    assert {event.object_id for event in events} == {str(signed.pk)}


def test_there_is_no_report_before_somebody_has_signed(doctor, study):
    with pytest.raises(NotPossible, match="no signed report yet"):
        report_open(actor=doctor, study=study)


def test_the_versions_stay_in_the_order_in_which_they_follow_each_other(doctor, radiologist, signed):
    last = signed
    for words in ("One.", "Two.", "Three."):
        last = review_addend(actor=radiologist, study=signed.study, follows=last, addendum=words)
    versions = report_open(actor=doctor, study=signed.study)
    assert [version.review.addendum for version in versions] == ["", "One.", "Two.", "Three."]
    assert [version.is_current for version in versions] == [False, False, False, True]
    assert Review.objects.count() == 4


def test_a_report_is_printed_in_the_hospitals_language_whoever_prints_it(doctor, signed):
    site = signed.study.site
    site.language = "es"
    site.save()
    doctor.language = "en"
    doctor.save()
    said, reader = read(report_print(actor=doctor, review=signed))
    for words in (
        "Informe de radiografía de tórax",
        "Número de historia MRN-77",
        "Hallazgos The #lungs are *clear* <b>now</b>.",
        "Impresión Normal chest.",
        "Artefacto o dispositivo en la imagen",
        "Firmado por Rafael Reader el",
        "COVID-19 0,81, Neumonía vírica 0,12, Normal 0,07",
        "Con ayuda de IA; no es por sí solo un diagnóstico",
        "Página 1 de",
    ):
        assert words in said
    assert reader.trailer["/Root"]["/Lang"] == "es"
    assert re.search(r"\b(?:the network|Signed by|Page|Reading|Versions)\b", said) is None
