"""The order by the network: at hospitals whose protocol lets it come first, and without a trace of it at any other."""

import datetime as dt

import pytest
from django.utils import timezone

from diagnosis.models import Prediction, Site, Study
from diagnosis.selectors.worklist import Viewer, WorklistFilter, list_page, next_case
from diagnosis.services.accounts import membership_set, system_user
from tests.factories import ImageFactory, ModelVersionFactory, PatientFactory, PredictionFactory, StudyFactory

NOW = timezone.now()
BY_AI = WorklistFilter(status="open", sort="suspicion")
#: Normal with this probability, in the order in which the studies came.
CHANCES = (0.9, 0.1, None, 0.5, 0.02, 0.7)


def make(site, minutes, chance=None, *, priority="routine"):
    """A study that came ``minutes`` ago, whose image the network holds to be normal with this chance."""
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read", priority=priority)
    Study.objects.filter(pk=study.pk).update(created_at=NOW - dt.timedelta(minutes=minutes))
    if chance is not None:
        say(study, chance)
    return study


def say(study, chance):
    probabilities = {"covid19": 1 - chance, "viral_pneumonia": 0, "normal": chance}
    return PredictionFactory(image=ImageFactory(study=study), done=True, probabilities=probabilities)


@pytest.fixture
def ai_first(site):
    Site.objects.filter(pk=site.pk).update(reading_protocol="ai-first")
    return site


@pytest.fixture
def read_first(other_site, radiologist):
    """A second hospital of the same reader, which hides the network."""
    Site.objects.filter(pk=other_site.pk).update(reading_protocol="read-first")
    membership_set(actor=system_user(), user=radiologist, site=other_site, role="radiologist")
    return other_site


def order(user, narrow=BY_AI, size=50):
    """The keys over all pages; the same backwards, and from case to case."""
    viewer = Viewer.of(user)
    page = list_page(viewer, narrow, size=size)
    pages = [page]
    while page.after:
        page = list_page(viewer, narrow, after=page.after, size=size)
        pages.append(page)
    keys = [key for page in pages for key in page.keys]
    back = [page.keys]
    while page.before:
        page = list_page(viewer, narrow, before=page.before, size=size)
        back.insert(0, page.keys)
    assert [key for one in back for key in one] == keys
    walked = keys[:1]
    while following := next_case(user, narrow, walked[-1]):
        assert next_case(user, narrow, following, backwards=True) == walked[-1]
        walked.append(following)
    assert walked == keys
    return keys


@pytest.mark.parametrize("size", [1, 2, 50])
def test_the_most_suspicious_of_the_most_urgent_comes_first(ai_first, radiologist, size):
    studies = [make(ai_first, 60 - number, chance) for number, chance in enumerate(CHANCES)]
    stat = make(ai_first, 0, 0.99, priority="stat")
    # Of the third the network says nothing: it stands in the middle, before what is held to be normal.
    expected = [stat, *(studies[number] for number in (4, 1, 2, 3, 5, 0))]
    assert order(radiologist, size=size) == [study.pk for study in expected]


@pytest.mark.parametrize("protocol", ["read-first", "concurrent"])
def test_at_any_other_hospital_the_order_tells_nothing(site, radiologist, protocol):
    Site.objects.filter(pk=site.pk).update(reading_protocol=protocol)
    studies = [make(site, 60 - number, chance) for number, chance in enumerate(CHANCES)]
    assert order(radiologist, size=2) == [study.pk for study in studies]
    assert order(radiologist) == order(radiologist, WorklistFilter(status="open", sort="priority"))


@pytest.mark.parametrize("size", [1, 3, 50])
def test_in_a_list_of_both_the_hospital_that_reads_first_stands_by_urgency_and_age_whatever_the_network_says(
    ai_first, read_first, radiologist, size
):
    ours = [make(ai_first, 60 - number, chance) for number, chance in enumerate(CHANCES)]
    theirs = [
        make(read_first, 50 - number, chance, priority="urgent" if number == 5 else "routine")
        for number, chance in enumerate(CHANCES)
    ]
    before = order(radiologist, size=size)
    assert [key for key in before if key in {study.pk for study in theirs}] == [
        theirs[number].pk for number in (5, 0, 1, 2, 3, 4)
    ]
    assert [key for key in before if key in {study.pk for study in ours}] == [
        ours[number].pk for number in (4, 1, 2, 3, 5, 0)
    ]
    for prediction in Prediction.objects.filter(image__study__site=read_first):
        Prediction.objects.filter(pk=prediction.pk).update(
            probabilities={"covid19": 0.3, "normal": 1 - prediction.probabilities["normal"]}
        )
    say(theirs[2], 0.01)
    assert order(radiologist, size=size) == before


def test_a_place_in_an_address_tells_nothing_of_a_hospital_that_reads_first(
    ai_first, read_first, radiologist
):
    for number in range(4):
        make(read_first, number, 0.123)
    viewer = Viewer.of(radiologist)
    page = list_page(viewer, BY_AI, size=2)
    assert page.after.split("~")[1] == "500"
    # Neither does one that somebody has made up: by it nobody finds out on which side of it a study stands.
    created_at, key = page.after.split("~")[2:]
    for made_up in ("0", "122", "124", "499"):
        answer = list_page(viewer, BY_AI, after="~".join(["2", made_up, created_at, key]), size=50)
        assert len(answer.keys) == 4


def test_what_is_read_already_is_not_ordered_by_the_network(ai_first, radiologist):
    studies = [make(ai_first, 60 - number, chance) for number, chance in enumerate(CHANCES)]
    assert order(radiologist, WorklistFilter(sort="suspicion")) == [study.pk for study in studies]


# What the database keeps true by itself


def rank(study):
    return Study.objects.values_list("suspicion_rank", flat=True).get(pk=study.pk)


def test_the_least_normal_image_counts_and_only_what_the_network_said_last(site):
    study = make(site, 0)
    assert rank(study) == 500
    say(study, 0.8)
    worst = say(study, 0.2004)
    assert rank(study) == 200
    again = PredictionFactory(
        image=worst.image, model_version=ModelVersionFactory(name="newer", is_active=False)
    )
    assert rank(study) == 800  # It is being asked again about the worse one.
    Prediction.objects.filter(pk=again.pk).update(status="refused", reason="Cut.", finished_at=NOW)
    assert rank(study) == 800


def test_a_model_that_knows_no_normal_orders_nothing(site):
    study = make(site, 0)
    PredictionFactory(image=ImageFactory(study=study), done=True, probabilities={"covid19": 0.9})
    assert rank(study) == 500
