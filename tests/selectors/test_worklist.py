"""Which studies the worklist holds, in which order, page by page, and how many."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnosis.models import AuditEvent, Patient, Study
from diagnosis.selectors.worklist import (
    VIEWS,
    Count,
    Sort,
    Viewer,
    WorklistFilter,
    counts,
    list_page,
    matching,
    next_case,
    search_conditions,
)
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.claims import claim_take
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    StudyFactory,
)

NOW = timezone.now()


def make(site, number=0, *, name="Example^Ana", minutes=0, **values):
    patient = values.pop("patient", None) or PatientFactory(site=site, person_name=name)
    study = StudyFactory(patient=patient, **{"status": "to_read", **values})
    Study.objects.filter(pk=study.pk).update(created_at=NOW - dt.timedelta(minutes=minutes))
    return study


def found(user, narrow=None, query=""):
    viewer = Viewer.of(user)
    words = search_conditions(viewer, query)
    return list(list_page(viewer, narrow or WorklistFilter(), words).keys)


def pages(user, narrow, size=3):
    """All pages forwards, and then back again."""
    viewer = Viewer.of(user)
    page = list_page(viewer, narrow, size=size)
    forwards = [page]
    while page.after:
        page = list_page(viewer, narrow, after=page.after, size=size)
        forwards.append(page)
    backwards = [page]
    while page.before:
        page = list_page(viewer, narrow, before=page.before, size=size)
        backwards.append(page)
    return forwards, backwards


@pytest.fixture
def several(site):
    """Eight studies whose keys tie in every order: names, times and priorities come twice."""
    return [
        make(
            site,
            name=f"Name{number // 2}^Ana",
            minutes=number // 2,
            priority=("stat", "routine", "urgent", "routine")[number // 2],
        )
        for number in range(8)
    ]


@pytest.mark.parametrize("sort", Sort.values)
def test_every_order_pages_forwards_and_back_over_each_study_once(several, radiologist, sort):
    forwards, backwards = pages(radiologist, WorklistFilter(sort=sort))
    keys = [key for page in forwards for key in page.keys]
    assert sorted(keys) == sorted(study.pk for study in several)
    assert [len(page.keys) for page in forwards] == [3, 3, 2]
    assert [page.keys for page in reversed(backwards)] == [page.keys for page in forwards]
    assert (forwards[0].before, forwards[-1].after) == ("", "")


@pytest.mark.parametrize("sort", Sort.values)
def test_what_comes_or_goes_meanwhile_moves_nothing_on_the_next_page(several, radiologist, site, sort):
    viewer, narrow = Viewer.of(radiologist), WorklistFilter(sort=sort)
    first = list_page(viewer, narrow, size=4)
    rest = list_page(viewer, narrow, after=first.after, size=4)
    # New ones at both ends of every order, and one of the first page gone.
    make(site, name="Aaa^First", minutes=-1, priority="stat")
    make(site, name="Aaa^First", minutes=100, priority="stat")
    Study.objects.filter(pk=first.keys[0]).delete()
    again = list_page(viewer, narrow, after=first.after, size=4)
    assert [key for key in again.keys if key in rest.keys] == [key for key in rest.keys if key in again.keys]
    assert set(rest.keys) <= set(list_page(viewer, narrow, after=first.after, size=10).keys)
    assert not set(first.keys) & set(again.keys)


def test_the_orders_are_what_they_say(site, radiologist):
    late_stat = make(site, name="Zeta^A", minutes=1, priority="stat")
    early_stat = make(site, name="alpha^B", minutes=9, priority="stat")
    routine = make(site, name="Ábaco^C", minutes=20)
    urgent = make(site, name="Beta^D", minutes=5, priority="urgent")
    in_order = {
        "priority": [early_stat, late_stat, urgent, routine],
        "newest": [late_stat, urgent, early_stat, routine],
        "oldest": [routine, early_stat, urgent, late_stat],
        "name": [routine, early_stat, urgent, late_stat],
    }
    for sort, studies in in_order.items():
        assert found(radiologist, WorklistFilter(sort=sort)) == [study.pk for study in studies], sort


@pytest.mark.parametrize(
    "place", ["x", "~", "2~x~y", "2~2026-01-01~" + "0" * 32, "0" * 8, "2~2026-01-01T10:00:00~z"]
)
@pytest.mark.parametrize("sort", Sort.values)
def test_a_place_that_names_nothing_is_the_first_page(several, radiologist, sort, place):
    viewer, narrow = Viewer.of(radiologist), WorklistFilter(sort=sort)
    assert list_page(viewer, narrow, after=place) == list_page(viewer, narrow)
    assert list_page(viewer, narrow, before=place) == list_page(viewer, narrow)


def test_no_place_holds_a_name_because_places_stand_in_addresses(several, radiologist):
    page = list_page(Viewer.of(radiologist), WorklistFilter(sort="name"), size=3)
    assert page.after == str(page.keys[-1])


def test_a_place_of_another_hospital_is_none(several, radiologist, other_site):
    there = make(other_site, name="Name1^Secret")
    viewer, narrow = Viewer.of(radiologist), WorklistFilter(sort="name")
    assert list_page(viewer, narrow, after=str(there.pk)) == list_page(viewer, narrow)
    assert next_case(radiologist, narrow, there.pk) is None


@pytest.mark.parametrize("sort", [sort for sort in Sort.values if sort != Sort.SUSPICION])
def test_several_hospitals_are_one_list_in_one_order(several, radiologist, other_site, sort):
    for number in range(5):
        make(other_site, name=f"Name{number}^Bea", minutes=number, priority="urgent")
    alone = found(radiologist, WorklistFilter(sort=sort))
    membership_set(actor=system_user(), user=radiologist, site=other_site, role="radiologist")
    forwards, backwards = pages(radiologist, WorklistFilter(sort=sort))
    keys = [key for page in forwards for key in page.keys]
    columns = {"priority": ["priority_rank", "created_at", "pk"], "newest": ["-created_at", "-pk"]}
    columns |= {"oldest": ["created_at", "pk"], "name": ["patient_name_key", "pk"]}
    assert keys == list(Study.objects.order_by(*columns[sort]).values_list("pk", flat=True))
    assert [page.keys for page in reversed(backwards)] == [page.keys for page in forwards]
    assert found(radiologist, WorklistFilter(sort=sort, site=several[0].site_id)) == alone
    assert counts(Viewer.of(radiologist), {"all": (WorklistFilter(), ())})["all"] == Count(13, is_more=False)


def test_a_hospital_of_others_cannot_be_asked_for(several, outsider, site):
    assert found(outsider, WorklistFilter(site=site.pk)) == []
    assert counts(Viewer.of(outsider), {"all": (WorklistFilter(site=site.pk), ())})["all"].number == 0


@pytest.fixture
def one_of_each(site, radiologist, second_radiologist):
    studies = {
        "plain": make(site),
        "read": make(site, status="read"),
        "analysing": make(site, status="analysing"),
        "stat": make(site, priority="stat"),
        "assigned": make(site, assigned_to=radiologist),
        "assigned_to_another": make(site, assigned_to=second_radiologist),
        "claimed": make(site),
        "detected": make(site),
        "not_detected": make(site),
    }
    claim_take(actor=radiologist, study=studies["claimed"])
    LabResultFactory(patient=studies["detected"].patient, result="detected")
    LabResultFactory(
        patient=studies["not_detected"].patient, result="detected", collected_at=NOW - dt.timedelta(days=2)
    )
    LabResultFactory(
        patient=studies["not_detected"].patient,
        result="not_detected",
        collected_at=NOW - dt.timedelta(days=1),
    )
    return studies


NARROWED = {
    "open": (
        {"status": "open"},
        "plain analysing stat assigned assigned_to_another claimed detected not_detected",
    ),
    "read": ({"status": "read"}, "read"),
    "stat": ({"priority": "stat"}, "stat"),
    "mine": ({"reader": "me"}, "assigned claimed"),
    "nobody": ({"reader": "nobody", "status": "open"}, "plain analysing stat claimed detected not_detected"),
    "detected": ({"pcr": "detected"}, "detected"),
    "newest_result_counts": ({"pcr": "not_detected"}, "not_detected"),
    "waiting": (
        {"pcr": "none", "status": "open"},
        "plain analysing stat assigned assigned_to_another claimed",
    ),
    "together": ({"pcr": "none", "priority": "stat", "reader": "nobody"}, "stat"),
    "nothing": ({"pcr": "detected", "priority": "stat"}, ""),
}


@pytest.mark.parametrize("case", NARROWED)
def test_the_list_is_narrowed_by_what_a_study_is(one_of_each, radiologist, case):
    query, names = NARROWED[case]
    narrow = WorklistFilter.of(query)
    expected = {one_of_each[name].pk for name in names.split()}
    assert set(found(radiologist, narrow)) == expected
    assert counts(Viewer.of(radiologist), {"c": (narrow, ())})["c"] == Count(len(expected), is_more=False)


def test_an_address_says_what_the_filter_is_and_nothing_else():
    query = {"status": "open", "priority": "stat", "site": "3", "sort": "oldest", "x": "y", "pcr": "'; --"}
    narrow = WorklistFilter.of(query)
    assert narrow.query == {"status": "open", "priority": "stat", "site": "3", "sort": "oldest"}
    assert WorklistFilter.of(narrow.query) == narrow
    assert WorklistFilter.of({"site": "²", "status": None}) == WorklistFilter()
    assert WorklistFilter().query == {}


STATES = {
    "pending": [{}],
    "label": [{"done": True}],
    "unsure": [{"done": True, "possible_labels": ["covid19", "normal"]}],
    "refused": [{"done": True}, {"refused": True}],
    "failed": [{"failed": True}, {"refused": True}, {"done": True}],
}


@pytest.mark.parametrize("state", STATES)
def test_a_study_counts_by_what_needs_attention_most(site, doctor, state):
    site.opinion_for_others = "at-once"
    site.save()
    studies = {}
    for name, predictions in STATES.items():
        studies[name] = make(site)
        for values in predictions:
            PredictionFactory(image=ImageFactory(study=studies[name]), **values)
    assert found(doctor, WorklistFilter(opinion=state)) == [studies[state].pk]


# What the database keeps true by itself


def test_a_later_opinion_takes_the_place_of_the_one_before(site):
    study = make(site)
    first = PredictionFactory(image=ImageFactory(study=study), refused=True)
    PredictionFactory(
        image=first.image, model_version__name="newer", model_version__is_active=False, done=True
    )
    study.refresh_from_db()
    assert study.opinion_state == "label"


def test_a_read_that_overrides_is_a_disagreement_until_a_later_one_is_none(site, doctor):
    study = make(site, status="read")
    first = ReviewFactory(study=study, decision="override", reason="chronic")
    assert found(doctor, WorklistFilter(case="disagreement")) == [study.pk]
    ReviewFactory(study=study, decision="confirm", follows=first)
    assert found(doctor, WorklistFilter(case="disagreement")) == []


def test_an_image_that_moves_takes_its_opinion_along(site):
    here, there = make(site), make(site)
    prediction = PredictionFactory(image=ImageFactory(study=here), failed=True)
    type(prediction.image).objects.filter(pk=prediction.image.pk).update(study=there)
    assert [Study.objects.get(pk=study.pk).opinion_state for study in (here, there)] == ["", "failed"]


def test_a_result_that_is_corrected_or_removed_counts_as_it_is_now(site):
    study = make(site)
    result = LabResultFactory(patient=study.patient, result="detected")
    type(result).objects.filter(pk=result.pk).update(result="indeterminate")
    assert Study.objects.get().pcr_state == "indeterminate"
    result.delete()
    assert Study.objects.get().pcr_state == ""


def test_a_study_knows_the_results_and_the_name_that_were_there_before_it(site):
    patient = PatientFactory(site=site, person_name="Müller^Jürgen")
    LabResultFactory(patient=patient, result="detected")
    StudyFactory(patient=patient)
    assert Study.objects.values_list("pcr_state", "patient_name_key").get() == ("detected", "muller jurgen")


def test_a_renamed_patient_is_found_and_sorted_by_the_new_name_alone(site, radiologist):
    study = make(site, name="Wrong^Name")
    patient = Patient.objects.get()
    patient.person_name = "Right^Name"
    patient.save()
    assert Study.objects.get().patient_name_key == "right name"
    assert found(radiologist, query="right") == [study.pk]
    assert found(radiologist, query="wrong") == []


def test_a_study_that_moves_to_another_patient_takes_that_ones_name(site):
    study = make(site, name="Wrong^Name")
    Study.objects.filter(pk=study.pk).update(patient=PatientFactory(site=site, person_name="Right^Name"))
    assert Study.objects.get().patient_name_key == "right name"


def test_patients_stored_in_bulk_are_found(site, radiologist):
    [patient] = Patient.objects.bulk_create([Patient(site=site, mrn="B-1", person_name="Bulk^Berta")])
    study = make(site, patient=patient)
    assert found(radiologist, query="ber bul") == [study.pk]


# Searching

NAMES = {
    "Müller^Jürgen": ["müller", "MULLER", "mueller", "jürg", "juergen", "Müller, Jürgen", "muel jur"],
    "García-López^María José": ["garcia", "lopez", "garcia-lopez", "garcialopez", "jose mar"],
    "O'Neil^Seán": ["o'neil", "oneil", "neil", "sean", "O\u2019NEIL"],
    "Yamada^Tarou=山田^太郎=やまだ^たろう": ["yamada", "山田", "太郎", "山田太郎", "山田太", "やまだ"],
    "Κωνσταντίνου^Άννα": ["κωνσταντινου", "ΆΝΝΑ"],
    "مثال^ليلى": ["مثال", "ليلى"],
    "Øster^Łukasz": ["oster", "lukasz"],
    "Weiß^Zoë": ["weiss", "zoe"],
    "김^민준": ["김", "김민준"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_however_it_is_typed(site, radiologist, name):
    study = make(site, name=name)
    make(site, name="Other^Person")
    for query in NAMES[name]:
        assert found(radiologist, query=query) == [study.pk], query
    assert found(radiologist, query=f"{NAMES[name][0]} other") == []


def test_a_word_is_found_from_its_beginning_and_not_from_its_middle(site, radiologist):
    make(site, name="Hannah^Ana")
    assert found(radiologist, query="nnah") == []


@pytest.mark.parametrize(
    "query", ["MRN-77/A", "mrn77", "77/a", "ACC-5", "acc-55", "1.2.826.0.1.77", "Example 1.2.826.0.1.77"]
)
def test_numbers_are_found_by_their_beginning_and_a_uid_as_a_whole(site, radiologist, query):
    patient = PatientFactory(site=site, mrn="MRN-77/A")
    study = make(site, patient=patient, accession_number="ACC-55", study_instance_uid="1.2.826.0.1.77")
    make(site, accession_number="XACC-55")
    assert found(radiologist, query=query) == [study.pk]


@pytest.mark.parametrize("query", ["%", "_", "1.2.826", "\\", "^", "acc-56"])
def test_what_is_no_beginning_of_anything_finds_nothing(site, radiologist, query):
    make(site, accession_number="ACC-55", study_instance_uid="1.2.826.0.1.77")
    assert found(radiologist, query=query) == []


def test_a_search_finds_nothing_of_another_hospital(site, outsider):
    make(site, name="Secret^Ana", accession_number="ACC-1", study_instance_uid="1.2.3")
    for query in ("secret", "ACC-1", "1.2.3"):
        assert found(outsider, query=query) == []


def test_a_frequent_word_is_looked_up_in_the_studies_and_finds_the_same(site, radiologist, monkeypatch):
    studies = [
        make(site, name=f"Same^N{number}", accession_number=f"S{number}", minutes=number)
        for number in range(6)
    ]
    rare = [found(radiologist, query=query) for query in ("same", "s", "same n3", "same s4")]
    monkeypatch.setattr("diagnosis.selectors.worklist.MOST_CANDIDATES", 2)
    assert [found(radiologist, query=query) for query in ("same", "s", "same n3", "same s4")] == rare
    assert rare[0] == rare[1] == [study.pk for study in studies]
    assert (rare[2], rare[3]) == ([studies[3].pk], [studies[4].pk])


# Counts and neighbours


def test_counting_stops_where_nobody_needs_the_number(site, radiologist, monkeypatch):
    monkeypatch.setattr("diagnosis.selectors.worklist.MOST_COUNTED", 3)
    for number in range(5):
        make(site, minutes=number)
    viewer = Viewer.of(radiologist)
    count = counts(viewer, {"all": (WorklistFilter(), ())})["all"]
    assert (str(count), count) == ("3+", Count(3, is_more=True))
    Study.objects.filter(pk__in=found(radiologist)[:2]).update(status="read")
    assert str(counts(viewer, {"open": (*VIEWS["open"][1:], ())})["open"]) == "3"


def test_all_counts_are_one_query(one_of_each, radiologist):
    viewer = Viewer.of(radiologist)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found_counts = counts(viewer, {key: (narrow, ()) for key, (_, narrow) in VIEWS.items()})
    assert len(queries) == 1
    numbers = {key: count.number for key, count in found_counts.items()}
    assert numbers == {
        "open": 8, "mine": 2, "stat": 1, "pcr": 6, "refused": 0, "disagreement": 0, "discrepancy": 0, "second_read": 0,
        "all": 9,
    }  # fmt: skip


def test_a_condition_that_nothing_fulfils_counts_nothing(site, radiologist):
    viewer = Viewer.of(radiologist)
    words = search_conditions(viewer, "nobody")
    assert counts(viewer, {"c": (WorklistFilter(), words)})["c"].number == 0
    assert counts(viewer, {}) == {}


def test_the_next_case_is_the_next_in_the_list_also_after_this_one_has_left_it(site, radiologist):
    first, second, third = (make(site, minutes=minutes) for minutes in (30, 20, 10))
    narrow = VIEWS["open"][1]
    assert next_case(radiologist, narrow, first.pk) == second.pk
    Study.objects.filter(pk=first.pk).update(status="read")
    assert next_case(radiologist, narrow, first.pk) == second.pk
    assert next_case(radiologist, narrow, third.pk) is None
    assert next_case(radiologist, narrow, third.pk, backwards=True) == second.pk
    assert next_case(radiologist, narrow, second.pk, backwards=True) is None


def test_what_somebody_else_reads_is_passed_over(site, radiologist, second_radiologist):
    first, second, third = (make(site, minutes=minutes) for minutes in (30, 20, 10))
    claim_take(actor=second_radiologist, study=second)
    narrow = VIEWS["open"][1]
    assert next_case(radiologist, narrow, first.pk) == third.pk
    assert next_case(second_radiologist, narrow, first.pk) == second.pk


def test_a_list_reads_records_and_writes_nothing(one_of_each, radiologist):
    before = AuditEvent.objects.count()
    found(radiologist, WorklistFilter(status="open"), "example")
    assert matching(Viewer.of(radiologist), WorklistFilter())
    assert AuditEvent.objects.count() == before
