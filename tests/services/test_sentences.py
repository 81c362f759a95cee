"""Sentences that are kept: in English with what is filled in, and said in the language of each reader."""

from __future__ import annotations

import string

import pytest
from django.conf import settings
from django.core import mail
from django.db import connection
from django.utils.translation import gettext, override

from diagnosis.intake.archive import SENTENCES as ARCHIVE
from diagnosis.intake.refused import SENTENCES as REFUSALS
from diagnosis.intake.refused import refusal_sentence
from diagnosis.models import Prediction
from diagnosis.models.burnt_in import BURNT_IN_SENTENCES
from diagnosis.models.held_file import HELD_SENTENCES
from diagnosis.models.image import NOT_ANALYSED_SENTENCES
from diagnosis.policies import Act, NotAllowed
from diagnosis.sentences import Sentence
from diagnosis.services.accounts import system_user
from diagnosis.services.case_facts import facts_of, whole_study
from diagnosis.services.case_rules import rule_named
from diagnosis.services.critical_results import critical_flag, critical_mail_send
from diagnosis.services.predictions import prediction_claim, prediction_refuse
from diagnosis.web.outcomes import Outcome
from ml.imaging import ImageRefused, refusal
from tests.factories import ImageFactory, LabResultFactory, PredictionFactory, ReviewFactory, StudyFactory

OTHERS = [code for code, _ in settings.LANGUAGES if code != "en"]
KEPT = {
    **{f"refused {code}": Sentence(text) for code, text in (REFUSALS | ARCHIVE).items()},
    **{f"held {code}": sentence for code, sentence in HELD_SENTENCES.items()},
    **{f"not analysed {code}": sentence for code, sentence in NOT_ANALYSED_SENTENCES.items()},
    **{f"burnt in {code}": sentence for code, sentence in BURNT_IN_SENTENCES.items() if sentence},
}


@pytest.fixture
def study(site, doctor):
    return StudyFactory(patient__site=site, submitted_by=doctor)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("name", KEPT)
def test_every_refusal_is_said_in_every_language_with_all_that_is_filled_in(name, language):
    english = KEPT[name].text
    with override(language):
        said = gettext(english)
    assert said != english
    assert placeholders(said) == placeholders(english)


def test_what_a_worker_wrote_down_is_said_in_the_language_of_each_reader(db):
    prediction = PredictionFactory(image=ImageFactory(), status="queued")
    refused = refusal("too_small", rows=100, columns=1200, limit=320)
    with override("es"):  # Whoever happened to be asking when it was written down.
        prediction_refuse(
            actor=system_user(),
            prediction=prediction_claim(prediction_id=str(prediction.pk)),
            code=refused.code,
            reason=refusal_sentence(refused),
        )
    kept = Prediction.objects.get(pk=prediction.pk).reason
    assert str(kept) == str(refused)
    with override("es"):
        assert str(kept).startswith(
            "La imagen solo tiene 1200 x 100 píxeles; el lado más corto necesita al menos 320"
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM diagnosis_prediction")
        assert "La imagen" not in cursor.fetchone()[0]


def test_a_row_from_before_is_read_as_it_stands(db):
    PredictionFactory(image=ImageFactory(), status="failed", reason="The disk {was} full on 3 % of days.")
    with override("es"):
        assert str(Prediction.objects.get().reason) == "The disk {was} full on 3 % of days."


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence("It does not answer."),
        Sentence("{one} and {other}", one=Sentence("name"), other=Sentence("sex")),
        Sentence("{label} {score}", label=Sentence("Normal"), score=0.816),
        Sentence("The archive holds more than the {limit} files", limit=20_000),
    ],
    ids=["plain", "nested", "score", "count"],
)
def test_a_sentence_survives_being_kept(sentence):
    again = Sentence.from_kept(sentence.kept())
    assert (again.text, again.kept()) == (sentence.text, sentence.kept())
    for language in ("en", *OTHERS):
        with override(language):
            assert str(again) == str(sentence)


def test_numbers_have_the_form_of_the_readers_language():
    sentence = Sentence("{count} of {score}", count=20_000, score=0.816)
    assert str(sentence) == "20,000 of 0.82"
    with override("es"):
        assert str(sentence) == "20\u00a0000 of 0,82"


def test_a_sentence_too_long_for_its_column_is_kept_in_english_and_cut():
    sentence = Sentence(gettext("It does not know where this portal is. {hint}"), hint="x" * 600)
    with override("es"):
        kept = sentence.kept(500)
    assert len(kept) == 500
    assert kept.startswith("It does not know where this portal is. xxx")


def test_a_refusal_in_other_words_than_its_codes_keeps_its_own_words():
    said = refusal_sentence(ImageRefused("several_frames", "There are 12 frames in it. Send one."))
    with override("es"):
        assert str(said) == "There are 12 frames in it. Send one."


def test_a_part_of_a_refusal_is_said_in_the_readers_language_too():
    said = refusal_sentence(refusal("invalid_dicom", problem="{keyword} is missing", keyword="Rows"))
    with override("es"):
        assert "incumple la norma: falta Rows." in str(said)


def test_what_became_of_a_file_waits_for_its_reader_in_no_language():
    outcome = Outcome("a.dcm", "refused", refusal_sentence(refusal("empty_file")).kept(), "")
    assert str(outcome.reason).startswith("The file is empty")
    with override("es"):
        assert str(outcome.reason).startswith("El archivo está vacío")


def test_a_denial_is_said_in_the_language_of_whoever_reads_it(doctor, site):
    error = NotAllowed(doctor, Act.SIGN_REVIEW, site)
    assert (
        str(error)
        == f"Your role at {site} does not allow you to sign a read. Ask an administrator of {site}."
    )
    with override("es"):
        assert "no le permite firmar una lectura" in str(error)


def test_a_rule_names_what_held_in_the_readers_language(study):
    PredictionFactory(image=ImageFactory(study=study), done=True)
    review = ReviewFactory(study=study)
    pcr = LabResultFactory(patient=study.patient, result="not_detected")
    with override("es"):
        facts = facts_of(whole_study(study), review, pcr)
        assert (
            rule_named("pcr_negative_ai_covid").words(facts)
            == "PCR negativa, IA COVID-19 0,81: segundo lector"
        )
    assert rule_named("pcr_negative_ai_covid").words(facts) == "PCR negative, AI COVID-19 0.81: second reader"


@pytest.mark.parametrize(
    ("of_person", "of_site", "subject"),
    [
        ("es", "en", "Resultado crítico"),
        ("en", "es", "Critical result"),
        ("", "es", "Resultado crítico"),
        ("", "en", "Critical result"),
    ],
    ids=["own Spanish", "own English", "Spanish hospital", "English hospital"],
)
def test_a_mail_is_in_the_language_of_who_gets_it(radiologist, doctor, study, of_person, of_site, subject):
    doctor.email, doctor.language = "doctor@hospital.example", of_person
    doctor.save()
    study.site.language = of_site
    study.site.save()
    result = critical_flag(actor=radiologist, study=study, finding="pneumothorax")
    for escalation in result.escalations.all():
        critical_mail_send(escalation_id=escalation.pk)
    [sent] = mail.outbox
    assert sent.subject.startswith(f"{subject} {result.reference}")
    assert result.reference in sent.body
