"""A study that is pushed image by image is analysed as a whole, once nothing more has come for a while."""

import datetime as dt

import pytest
from django.utils import timezone

from diagnosis.intake.unattended import receive_unattended
from diagnosis.models import Image, Prediction, Road, Study
from diagnosis.services.accounts import system_user
from diagnosis.services.quiet_studies import studies_analyse_quiet, waits_for_quiet
from ml.phantom import phantom_dicom
from tests.factories import ImageFactory, ModelVersionFactory, PredictionFactory, StudyFactory


@pytest.fixture
def study(db):
    ModelVersionFactory()
    return StudyFactory(status="analysing")


def pushed(study, *, seconds_ago, **values):
    image = ImageFactory(study=study, road="c_store", **values)
    Image.objects.filter(pk=image.pk).update(created_at=timezone.now() - dt.timedelta(seconds=seconds_ago))
    return image


def analysed():
    return set(Prediction.objects.values_list("image_id", flat=True))


def test_nothing_is_asked_while_images_still_come(study):
    pushed(study, seconds_ago=60)
    pushed(study, seconds_ago=9)
    assert studies_analyse_quiet(actor=system_user()) == 0
    assert analysed() == set()


def test_after_the_quiet_time_every_image_of_the_study_is_analysed(study):
    images = {pushed(study, seconds_ago=60).pk, pushed(study, seconds_ago=11).pk}
    assert studies_analyse_quiet(actor=system_user()) == 1
    assert analysed() == images


def test_a_second_round_asks_for_nothing(study):
    pushed(study, seconds_ago=60)
    studies_analyse_quiet(actor=system_user())
    assert studies_analyse_quiet(actor=system_user()) == 0
    assert Prediction.objects.count() == 1


def test_an_image_that_comes_later_is_analysed_after_its_own_quiet_time(study):
    PredictionFactory(image=pushed(study, seconds_ago=600), done=True)
    late = pushed(study, seconds_ago=11)
    studies_analyse_quiet(actor=system_user())
    assert Prediction.objects.filter(image=late).count() == 1
    assert Prediction.objects.count() == 2


def test_a_study_with_nothing_to_analyse_goes_to_its_reader(study):
    pushed(study, seconds_ago=60, not_analysed_code="lateral")
    studies_analyse_quiet(actor=system_user())
    assert analysed() == set()
    assert Study.objects.get().status == "to_read"


def test_a_lateral_view_does_not_end_the_wait_for_the_frontal_one(study):
    pushed(study, seconds_ago=60, not_analysed_code="lateral")
    frontal = pushed(study, seconds_ago=30)
    studies_analyse_quiet(actor=system_user())
    assert analysed() == {frontal.pk}
    assert Study.objects.get().status == "analysing"
    assert studies_analyse_quiet(actor=system_user()) == 0


def test_an_image_that_is_stored_by_a_push_waits_and_one_by_another_road_does_not(site, doctor):
    ModelVersionFactory()
    for road, expected in (("c_store", 0), ("stow", 1)):
        content = phantom_dicom(expected, rows=128, columns=120, patient_id="MRN-1")
        receive_unattended(actor=doctor, site=site, content=content, name="a.dcm", road=Road(road))
        assert Prediction.objects.count() == expected
    assert set(Study.objects.values_list("status", flat=True)) == {"analysing"}


def test_where_no_model_is_active_the_study_goes_to_its_reader(study):
    ModelVersionFactory().__class__.objects.update(is_active=False)
    pushed(study, seconds_ago=60)
    studies_analyse_quiet(actor=system_user())
    assert Study.objects.get().status == "to_read"
    assert studies_analyse_quiet(actor=system_user()) == 0


@pytest.mark.parametrize(("seconds", "waits"), [(10, True), (0, False)])
def test_the_quiet_time_can_be_switched_off(settings, seconds, waits):
    settings.CXR_STUDY_QUIET_SECONDS = seconds
    assert waits_for_quiet("c_store") is waits
    assert waits_for_quiet("stow") is False
