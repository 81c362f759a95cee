"""A radiologist confirms or overrides; a signed read stays as it was signed."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditEvent, Prediction, Review, StudyStatus
from diagnosis.selectors.studies import current_review, second_opinion, studies_with_opinion
from diagnosis.services.predictions import prediction_request
from diagnosis.services.reviews import review_sign
from tests.factories import ImageFactory, PatientFactory, PredictionFactory, StudyFactory


@pytest.fixture
def study(site):
    study = StudyFactory(patient=PatientFactory(site=site), status=StudyStatus.TO_READ)
    PredictionFactory(image=ImageFactory(study=study), done=True)
    return study


def token(study):
    return second_opinion(study).token


def confirm(reader, study, **changes):
    return review_sign(
        actor=reader, study=study, decision="confirm", **{"opinion_token": token(study), **changes}
    )


def override(reader, study, **changes):
    values = {"label": "normal", "reason": "artefact", "opinion_token": token(study), **changes}
    return review_sign(actor=reader, study=study, decision="override", **values)


def test_confirming_signs_the_label_of_the_second_opinion(radiologist, study):
    review = confirm(radiologist, study)
    assert (review.label, review.label_display, review.reader) == ("covid19", "COVID-19", radiologist)
    study.refresh_from_db()
    assert study.is_read


def test_overriding_keeps_what_the_reader_saw_and_why(radiologist, study):
    review = override(radiologist, study, note="  Skin fold. ")
    assert (review.label, review.reason, review.note) == ("normal", "artefact", "Skin fold.")
    assert review.seen_predictions[0]["label"] == "covid19"


def test_the_signature_is_on_record_with_decision_and_reason(radiologist, study):
    review = override(radiologist, study)
    event = AuditEvent.objects.get(action="review_signed")
    assert (event.actor, event.patient, event.object_id) == (radiologist, study.patient, str(review.pk))
    assert event.details["reason"] == "artefact"


def test_a_doctor_does_not_sign(doctor, study):
    with pytest.raises(PermissionDenied):
        confirm(doctor, study)
    assert not Review.objects.exists()


def test_a_second_radiologist_gets_a_conflict_that_tells_the_first_decision(
    radiologist, second_radiologist, study
):
    override(radiologist, study)
    with pytest.raises(Conflict, match=r"Rafael Reader signed this study first \(overrode .*: Normal\)"):
        confirm(second_radiologist, study)
    assert Review.objects.count() == 1


def test_a_result_that_changed_on_the_way_is_not_signed(radiologist, study):
    shown = token(study)
    Prediction.objects.update(label="normal")
    with pytest.raises(Conflict, match="changed while you were reading"):
        confirm(radiologist, study, opinion_token=shown)
    assert not Review.objects.exists()


def test_an_override_needs_a_coded_reason(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, reason="because")
    assert "reason" in error.value.message_dict


def test_the_reason_other_needs_a_note(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, reason="other")
    assert "note" in error.value.message_dict


def test_an_override_with_the_opinions_own_label_is_no_override(radiologist, study):
    with pytest.raises(ValidationError, match="Confirm"):
        override(radiologist, study, label="covid19")


def test_an_unknown_label_is_refused(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, label="<script>")
    assert "label" in error.value.message_dict


def test_images_that_disagree_leave_nothing_to_confirm(radiologist, study):
    PredictionFactory(image=ImageFactory(study=study), done=True, label="normal")
    assert second_opinion(study).is_mixed
    with pytest.raises(NotPossible, match="no single second opinion"):
        confirm(radiologist, study)
    assert override(radiologist, study, label="covid19").label == "covid19"


def test_a_failed_analysis_does_not_keep_anybody_from_reading(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site), status=StudyStatus.TO_READ)
    PredictionFactory(image=ImageFactory(study=study), failed=True)
    review = review_sign(
        actor=radiologist, study=study, decision="unaided", label="normal", opinion_token=token(study)
    )
    assert review.decision == "unaided"


def test_a_reader_does_not_pass_over_an_opinion_as_unaided(radiologist, study):
    with pytest.raises(NotPossible, match="confirm it or override it"):
        review_sign(
            actor=radiologist, study=study, decision="unaided", label="normal", opinion_token=token(study)
        )


def test_an_image_that_comes_later_gets_a_read_that_follows_the_first(radiologist, second_radiologist, study):
    first = confirm(radiologist, study)
    PredictionFactory(image=ImageFactory(study=study), done=True)
    study.status = StudyStatus.TO_READ
    study.save()
    second = confirm(second_radiologist, study)
    assert second.follows == first
    assert current_review(studies_with_opinion(type(study).objects.filter(pk=study.pk)).get()) == second


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_a_signed_read(radiologist, study, change):
    review = confirm(radiologist, study)
    rows = Review.objects.filter(pk=review.pk)
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        rows.update(label="normal") if change == "update" else rows._raw_delete(rows.db)
    review.refresh_from_db()
    assert review.label == "covid19"


def test_a_late_analysis_of_a_read_study_leaves_it_read(radiologist, doctor, study):
    confirm(radiologist, study)
    prediction_request(actor=doctor, image=ImageFactory(study=study))
    study.refresh_from_db()
    assert study.is_read
