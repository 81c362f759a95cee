"""The views of the worklist for what is open beyond the read: late PCR results and second reads."""

import pytest

from diagnosis.models import Discrepancy, SecondRead
from diagnosis.selectors.worklist import VIEWS, Viewer, list_page
from tests.factories import LabResultFactory, PatientFactory, ReviewFactory, StudyFactory


def found(user, view):
    return list(list_page(Viewer.of(user), VIEWS[view][1]).keys)


@pytest.fixture
def signed(site, radiologist):
    StudyFactory(patient=PatientFactory(site=site), status="to_read")  # Nothing of it is open.
    return ReviewFactory(study__patient=PatientFactory(site=site), study__status="read", reader=radiologist)


@pytest.mark.parametrize(("state", "is_found"), [("open", True), ("acknowledged", True), ("resolved", False)])
def test_a_late_pcr_stands_in_the_list_until_it_is_settled(
    signed, radiologist, doctor, outsider, state, is_found
):
    result = LabResultFactory(patient=signed.study.patient)
    Discrepancy.objects.create(
        review=signed, lab_result=result, verdict="contradicts", rule="pcr_negative_reader_covid", facts={},
        state=state,
    )  # fmt: skip
    expected = [signed.study_id] if is_found else []
    assert [found(user, "discrepancy") for user in (radiologist, doctor)] == [expected, expected]
    assert found(outsider, "discrepancy") == []


def test_a_late_pcr_is_hidden_from_who_may_still_read_second(signed, second_radiologist, doctor):
    """It tells what the first reader signed."""
    Discrepancy.objects.create(
        review=signed, lab_result=LabResultFactory(patient=signed.study.patient), verdict="contradicts",
        rule="pcr_negative_reader_covid", facts={},
    )  # fmt: skip
    SecondRead.objects.create(study=signed.study, review=signed, cause_rank=0, state="waiting")
    assert found(second_radiologist, "discrepancy") == []
    assert found(doctor, "discrepancy") == [signed.study_id]


@pytest.mark.parametrize(
    ("state", "is_found"), [("waiting", True), ("to_adjudicate", True), ("held", False), ("agreed", False)]
)
def test_a_second_read_stands_in_the_list_of_who_can_take_it_and_of_nobody_else(
    signed, radiologist, second_radiologist, doctor, outsider, state, is_found
):
    SecondRead.objects.create(study=signed.study, review=signed, cause_rank=0, state=state)
    assert found(second_radiologist, "second_read") == ([signed.study_id] if is_found else [])
    # The first reader does not read second, and a doctor and a stranger do not at all.
    assert [found(user, "second_read") for user in (radiologist, doctor, outsider)] == [[], [], []]
