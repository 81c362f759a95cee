"""The timeline: days since the first symptoms, and the picture, which tells nothing of the network."""

import datetime as dt
import re

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.selectors.studies import timeline
from diagnosis.web.timeline_chart import LEFT, RIGHT, WIDTH, timeline_chart
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PredictionFactory,
    ReviewFactory,
    StudyFactory,
    SymptomNoteFactory,
)
from tests.web.conftest import HTMX
from tests.web.pages import html, text

DAY = dt.datetime(2026, 7, 10, 10, tzinfo=dt.UTC)


@pytest.fixture
def ill(patient):
    """Ill since 1 July; X-rayed on day 9, sampled on day 8."""
    note = SymptomNoteFactory(
        patient=patient, onset_date=dt.date(2026, 7, 1), noted_at=DAY - dt.timedelta(days=2),
        temperature_c="38.5", spo2_percent=93,
    )  # fmt: skip
    note.symptoms.create(code="49727002", severity="severe")
    LabResultFactory(
        patient=patient, result="not_detected", collected_at=DAY - dt.timedelta(days=1), received_at=DAY
    )
    return patient


@pytest.fixture
def xray(ill):
    return StudyFactory(patient=ill, performed_at=DAY, status="to_read")


def chart_of(patient, viewer, study=None):
    with timezone.override("Europe/Madrid"):
        return timeline_chart(timeline(patient, viewer=viewer), current_study_id=study.pk if study else None)


def test_each_x_ray_stands_on_its_day(browser, doctor, ill, xray):
    StudyFactory(patient=ill, performed_at=DAY - dt.timedelta(days=4))
    page = text(browser(doctor).get(reverse("web:timeline", args=[ill.pk]), {"study": xray.pk}, headers=HTMX))
    assert "This X-ray day 9 since the first symptoms" in page
    assert "X-ray day 5 since the first symptoms" in page


def test_the_picture_has_a_lane_for_each_kind_with_marks_in_the_order_of_time(doctor, ill, xray):
    chart = chart_of(ill, doctor, xray)
    lanes = {lane.name: lane for lane in chart.lanes}
    assert list(lanes) == ["X-ray", "PCR", "Symptoms", "Temp.", "SpO₂"]
    note, sample, film = (lanes[name].marks[0] for name in ("Symptoms", "PCR", "X-ray"))
    assert note.x < sample.x < film.x
    assert (sample.sign, sample.until) == ("minus", film.x)
    assert film.kind == "current"
    assert chart.onset_x == LEFT
    assert (lanes["Temp."].marks[0].text, lanes["SpO₂"].marks[0].text) == ("38.5°", "93%")


def test_the_axis_counts_days_of_the_illness_or_names_dates(doctor, ill, xray, patient):
    assert [tick.text for tick in chart_of(ill, doctor, xray).ticks] == ["0", "2", "4", "6", "8"]
    ill.symptom_notes.update(onset_date=None)
    chart = chart_of(ill, doctor, xray)
    assert (chart.axis, chart.ticks[0].text, chart.onset_x) == ("Dates", "8 Jul", None)


@pytest.mark.parametrize("days", [0, 1, 29])
def test_marks_stay_inside_the_picture(doctor, ill, xray, days):
    LabResultFactory(patient=ill, collected_at=DAY + dt.timedelta(days=days))
    chart = chart_of(ill, doctor, xray)
    places = [mark.x for lane in chart.lanes for mark in lane.marks] + [tick.x for tick in chart.ticks]
    assert all(LEFT <= x <= WIDTH - RIGHT for x in places)


def test_what_lies_far_off_stands_in_the_list_alone(doctor, ill, xray):
    StudyFactory(patient=ill, performed_at=DAY - dt.timedelta(days=400))
    chart = chart_of(ill, doctor, xray)
    assert chart.left_out == 1
    assert len(chart.lanes[0].marks) == 1


def test_without_any_entry_there_is_no_picture(doctor, patient):
    assert chart_of(patient, doctor) is None


def test_the_picture_is_the_same_whatever_the_network_said(browser, doctor, ill, xray):
    def picture() -> str:
        page = html(browser(doctor).get(reverse("web:timeline", args=[ill.pk]), headers=HTMX))
        return re.search(r"<svg.*?</svg>", page, flags=re.S).group()

    before = picture()
    PredictionFactory(image=ImageFactory(study=xray), done=True)
    assert picture() == before


def test_a_possible_second_reader_finds_no_read_on_the_timeline(
    browser, radiologist, second_radiologist, doctor, ill, xray
):
    from diagnosis.services.second_reads import second_read_request

    ReviewFactory(study=xray, reader=radiologist)
    xray.status = "read"
    xray.save()
    second_read_request(actor=doctor, study=xray)
    address = reverse("web:timeline", args=[ill.pk])
    assert "Reader Second reader wanted" in text(browser(second_radiologist).get(address, headers=HTMX))
    assert "Rafael Reader" not in text(browser(second_radiologist).get(address, headers=HTMX))
    assert "Reader Normal" in text(browser(doctor).get(address, headers=HTMX))
