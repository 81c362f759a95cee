"""At a site that reads first a reader locks a read of the own, is shown the second opinion, then signs."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditEvent, FirstRead, OpinionReveal, Prediction, Review, Site, Study
from diagnosis.policies import may_see_ai
from diagnosis.selectors.reading import image_set_of, reading_of
from diagnosis.selectors.studies import (
    OpinionState,
    second_opinion,
    shown_status,
    studies_with_opinion,
    studies_with_state,
    studies_with_status,
)
from diagnosis.services.first_reads import first_read_lock, opinion_reveal
from diagnosis.services.reviews import review_sign
from diagnosis.services.studies import study_open
from tests.factories import FirstReadFactory, ImageFactory, PatientFactory, PredictionFactory, StudyFactory


@pytest.fixture
def site(site):
    site.reading_protocol = "read-first"
    site.save()
    return site


@pytest.fixture
def study(site):
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    PredictionFactory(image=ImageFactory(study=study), done=True)
    return study


def seen_by(user, study):
    return studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=user).get()


def images_of(study):
    return image_set_of(study.images.all())


def lock(reader, study, **changes):
    values = {"label": "normal", "confidence": "likely", "image_set": images_of(study), **changes}
    return first_read_lock(actor=reader, study=study, **values)


def sign(reader, study, decision, **values):
    token = second_opinion(seen_by(reader, study)).token
    return review_sign(actor=reader, study=study, decision=decision, **{"opinion_token": token, **values})


def test_before_the_lock_the_study_of_a_reader_holds_nothing_of_the_network(radiologist, study):
    shown = seen_by(radiologist, study)
    opinion = second_opinion(shown)
    assert not may_see_ai(radiologist, study)
    assert (opinion.is_hidden, opinion.predictions, opinion.possible, opinion.token) == (True, (), {}, "")
    assert [list(image.predictions.all()) for image in shown.images.all()] == [[]]


def test_the_lock_reveals_a_complete_opinion_in_one_act(radiologist, study):
    first_read, reveal = lock(radiologist, study)
    assert (first_read.label_display, first_read.confidence, first_read.protocol) == (
        "Normal",
        "likely",
        "read-first",
    )
    assert reveal.seen_predictions[0]["label"] == "covid19"
    assert first_read.locked_at <= reveal.revealed_at
    assert may_see_ai(radiologist, study)
    assert second_opinion(seen_by(radiologist, study)).label == "covid19"
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", "actor__username"))
    assert actions[-2:] == [("first_read_locked", "radiologist"), ("opinion_revealed", "radiologist")]


def test_the_lock_of_one_reader_reveals_nothing_to_another(radiologist, second_radiologist, study):
    lock(radiologist, study)
    assert not may_see_ai(second_radiologist, study)


def test_who_does_not_sign_reads_locks_none(doctor, admin, study):
    for person in (doctor, admin):
        with pytest.raises(PermissionDenied):
            lock(person, study)
        with pytest.raises(PermissionDenied):
            opinion_reveal(actor=person, study=study)
    assert not FirstRead.objects.exists()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"label": ""}, {"label"}),
        ({"label": "measles"}, {"label"}),
        ({"confidence": ""}, {"confidence"}),
        ({"confidence": "5"}, {"confidence"}),
        ({"label": "", "confidence": ""}, {"label", "confidence"}),
    ],
)
def test_a_lock_needs_a_known_label_and_how_sure(radiologist, study, changes, fields):
    with pytest.raises(ValidationError) as error:
        lock(radiologist, study, **changes)
    assert set(error.value.message_dict) == fields
    assert not may_see_ai(radiologist, study)


def test_a_locked_read_is_locked_once_and_never_changed(radiologist, study):
    first_read, _ = lock(radiologist, study)
    with pytest.raises(Conflict, match=r"locked your read of these images already \(Normal, likely\)"):
        lock(radiologist, study, label="covid19")
    for change in (
        lambda: FirstRead.objects.update(label="covid19"),
        lambda: OpinionReveal.objects.update(revealed_at=first_read.locked_at - dt.timedelta(days=1)),
        lambda: OpinionReveal.objects.all().delete(),
        lambda: first_read.image_rows.all().delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_two_locks_of_the_same_read_are_stopped_by_the_database_too(radiologist, study):
    FirstReadFactory(study=study, reader=radiologist)
    with pytest.raises(DatabaseError, match=r"(?i)unique"), transaction.atomic():
        FirstReadFactory(study=study, reader=radiologist)


def test_images_that_came_while_reading_are_looked_at_before_the_lock(radiologist, study):
    shown = images_of(study)
    ImageFactory(study=study)
    with pytest.raises(Conflict, match="Images were added"):
        lock(radiologist, study, image_set=shown)
    assert not FirstRead.objects.exists()


def test_images_that_came_after_the_lock_hide_the_opinion_until_they_are_read_too(radiologist, study):
    lock(radiologist, study)
    PredictionFactory(image=ImageFactory(study=study), done=True, label="viral_pneumonia")
    assert not may_see_ai(radiologist, study)
    with pytest.raises(Conflict, match="Images were added to this study after you locked your read"):
        sign(radiologist, study, "confirm")
    lock(radiologist, study, label="covid19")
    assert may_see_ai(radiologist, study)
    assert FirstRead.objects.count() == 2


def test_an_image_that_the_network_is_not_asked_about_changes_nothing(radiologist, study):
    lock(radiologist, study)
    ImageFactory(study=study, not_analysed_code="lateral")
    assert may_see_ai(radiologist, study)


def test_while_the_opinion_is_on_its_way_a_locked_read_waits_and_the_reveal_is_an_act_of_its_own(
    radiologist, site
):
    study = StudyFactory(patient=PatientFactory(site=site))
    prediction = PredictionFactory(image=ImageFactory(study=study))
    _, reveal = lock(radiologist, study)
    assert reveal is None
    with pytest.raises(Conflict, match="still on its way"):
        opinion_reveal(actor=radiologist, study=study)
    done = PredictionFactory.build(done=True)
    for field in ("status", "label", "possible_labels", "probabilities", "activation_maps"):
        setattr(prediction, field, getattr(done, field))
    prediction.save()
    assert not may_see_ai(radiologist, study)
    first = opinion_reveal(actor=radiologist, study=study)
    assert first.seen_predictions[0]["label"] == "covid19"
    assert opinion_reveal(actor=radiologist, study=study) == first
    assert may_see_ai(radiologist, study)


def test_a_reader_need_not_wait_for_the_opinion(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site))
    PredictionFactory(image=ImageFactory(study=study))
    first_read, _ = lock(radiologist, study)
    review = sign(radiologist, study, "unaided", label="normal")
    assert (review.first_read, review.decision, review.seen_predictions) == (first_read, "unaided", [])


def test_an_opinion_that_came_but_was_not_revealed_is_no_part_of_the_read(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site))
    prediction = PredictionFactory(image=ImageFactory(study=study))
    lock(radiologist, study)
    Prediction.objects.filter(pk=prediction.pk).update(
        status="done", label="covid19", possible_labels=["covid19"], activation_maps=b"maps"
    )
    with pytest.raises(NotPossible, match="no second opinion to confirm"):
        sign(radiologist, study, "confirm")
    review = sign(radiologist, study, "unaided", label="normal")
    assert review.seen_predictions == []


@pytest.mark.parametrize("outcome", ["failed", "refused"])
def test_where_no_opinion_comes_the_locked_read_is_signed_unaided(radiologist, site, outcome):
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    PredictionFactory(image=ImageFactory(study=study), **{outcome: True})
    _, reveal = lock(radiologist, study)
    assert reveal is not None
    assert sign(radiologist, study, "unaided", label="normal").decision == "unaided"


def test_nothing_is_signed_before_the_lock(radiologist, study):
    for decision in ("confirm", "decide", "override", "unaided"):
        with pytest.raises(NotPossible, match="reads first"):
            sign(radiologist, study, decision, label="normal", reason="artefact")
    with pytest.raises(NotPossible, match="reads first"):
        sign(radiologist, study, "confirm", opinion_token=second_opinion(seen_by(None, study)).token)
    with pytest.raises(NotPossible, match="reads first"):
        opinion_reveal(actor=radiologist, study=study)
    assert not Review.objects.exists()


def test_the_final_read_keeps_the_first_one_with_the_protocol(radiologist, study):
    first_read, _ = lock(radiologist, study, label="covid19")
    review = sign(radiologist, study, "confirm", findings=" Bilateral opacities. ")
    assert (review.first_read, review.protocol, review.findings) == (
        first_read,
        "read-first",
        "Bilateral opacities.",
    )


def test_to_keep_a_label_that_the_network_does_not_give_asks_for_one_coded_reason(radiologist, study):
    lock(radiologist, study, label="normal")
    with pytest.raises(ValidationError) as error:
        sign(radiologist, study, "override", label="normal")
    assert "reason" in error.value.message_dict
    review = sign(radiologist, study, "override", label="normal", reason="chronic")
    assert (review.label, review.reason) == ("normal", "chronic")


def test_the_label_that_was_locked_can_be_signed_even_where_the_network_that_answered_does_not_know_it(
    radiologist, site
):
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    prediction = PredictionFactory(image=ImageFactory(study=study), done=True)
    lock(radiologist, study, label="viral_pneumonia")
    version = prediction.model_version
    version.labels = [label for label in version.labels if label["code"] != "viral_pneumonia"]
    version.save()
    review = sign(radiologist, study, "override", label="viral_pneumonia", reason="artefact")
    assert review.label_display == "Viral Pneumonia"


def test_who_comes_too_late_locks_nothing(radiologist, second_radiologist, study):
    lock(radiologist, study, label="covid19")
    sign(radiologist, study, "confirm")
    with pytest.raises(Conflict, match="Rafael Reader signed this study first"):
        lock(second_radiologist, study)


@pytest.mark.parametrize("protocol", ["concurrent", "ai-first"])
def test_at_a_site_that_does_not_read_first_nothing_is_hidden_or_locked(radiologist, site, study, protocol):
    Site.objects.update(reading_protocol=protocol)
    study = Study.objects.get(pk=study.pk)
    assert may_see_ai(radiologist, study)
    with pytest.raises(NotPossible, match="not hidden from you"):
        lock(radiologist, study)
    review = sign(radiologist, study, "confirm")
    assert (review.protocol, review.first_read) == (protocol, None)


def test_a_study_that_holds_nothing_for_the_network_is_signed_without_a_lock(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    ImageFactory(study=study, not_analysed_code="lateral")
    assert not reading_of(radiologist, study).reads_first
    assert sign(radiologist, study, "unaided", label="non_diagnostic").decision == "unaided"


@pytest.mark.parametrize(
    ("rule", "status", "is_shown"),
    [
        ("after-read", "to_read", False),
        ("after-read", "analysing", False),
        ("after-read", "read", True),
        ("at-once", "to_read", True),
        ("at-once", "analysing", True),
    ],
)
def test_a_doctor_sees_the_opinion_when_the_rule_of_the_site_says(
    doctor, site, study, rule, status, is_shown
):
    Site.objects.update(opinion_for_others=rule)
    Study.objects.update(status=status)
    assert may_see_ai(doctor, study) is is_shown


def test_that_doctors_see_it_at_once_shows_nothing_to_readers(radiologist, study):
    Site.objects.update(opinion_for_others="at-once")
    assert not may_see_ai(radiologist, study)


def test_an_administrator_who_does_not_read_sees_it_and_a_superuser_who_reads_does_not(
    admin, radiologist, study
):
    assert may_see_ai(admin, study)
    radiologist.is_superuser = True
    radiologist.save()
    assert not may_see_ai(radiologist, study)


def test_a_closed_account_sees_nothing(admin, study):
    admin.is_active = False
    admin.save()
    assert not may_see_ai(admin, study)


@pytest.mark.parametrize("status", ["analysing", "to_read"])
def test_the_status_that_a_reader_is_told_does_not_tell_when_the_network_has_finished(
    radiologist, admin, study, status
):
    Study.objects.update(status=status)
    assert shown_status(seen_by(radiologist, study)) == "to_read"
    assert shown_status(seen_by(admin, study)) == status
    for asked in ("analysing", "to_read", "read"):
        found = studies_with_status(Study.objects.all(), asked, viewer=radiologist)
        assert found.exists() is (asked == "to_read")


def test_no_list_is_narrowed_by_an_opinion_that_is_hidden(radiologist, doctor, admin, study):
    for state in OpinionState:
        assert not studies_with_state(Study.objects.all(), state, viewer=radiologist).exists()
        assert not studies_with_state(Study.objects.all(), state, viewer=doctor).exists()
    assert studies_with_state(Study.objects.all(), OpinionState.LABEL, viewer=admin).exists()


def test_the_first_opening_with_these_images_is_when_the_read_began(radiologist, second_radiologist, study):
    study_open(actor=second_radiologist, study=study)
    study_open(actor=radiologist, study=study)
    began = AuditEvent.objects.get(actor=radiologist, action="study_viewed").occurred_at
    study_open(actor=radiologist, study=study)
    assert lock(radiologist, study)[0].started_at == began


def test_a_read_whose_beginning_is_not_on_record_has_none(radiologist, study):
    assert lock(radiologist, study)[0].started_at is None
