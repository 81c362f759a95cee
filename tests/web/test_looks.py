"""Chips, icons, colours and templates: what holds for all of them."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from PIL import Image as PillowImage

from diagnosis.models import (
    Decision,
    PcrResult,
    PredictionStatus,
    Priority,
    Review,
    StudyStatus,
)
from diagnosis.services.studies import FileOutcome
from diagnosis.web import chips, outcomes
from diagnosis.web.overlay import VIRIDIS, colour_bar, paint

TEMPLATES = Path(settings.BASE_DIR, "templates")
PAGES = sorted(TEMPLATES.rglob("*.html"))
SPRITE = set(re.findall(r'id="icon-([a-z-]+)"', (TEMPLATES / "_icons.html").read_text()))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (chips.STUDY, StudyStatus.values),
        (chips.PRIORITY, Priority.values),
        (chips.PREDICTION, PredictionStatus.values),
        (chips.PCR, PcrResult.values),
        (outcomes.CHIPS, list(FileOutcome)),
    ],
)
def test_every_state_has_an_icon_and_a_text(table, values):
    assert set(table) == set(values)
    assert all(chip.text and chip.icon in SPRITE for chip in table.values())
    assert len({(chip.icon, chip.text) for chip in table.values()}) == len(
        {chip.text for chip in table.values()}
    )


@pytest.mark.parametrize("decision", Decision.values)
def test_every_decision_has_an_icon(decision):
    assert chips.decision_chip(Review(decision=decision, label_display="Normal")).icon in SPRITE


def test_every_icon_that_a_template_names_is_drawn_and_none_is_drawn_for_nothing():
    named = {name for page in PAGES for name in re.findall(r'{% icon "([a-z-]+)" %}', page.read_text())}
    named |= {name for page in PAGES for name in re.findall(r'href="#icon-([a-z-]+)"', page.read_text())}
    chip_tables = (chips.STUDY, chips.PRIORITY, chips.PREDICTION, chips.PCR, outcomes.CHIPS)
    named |= {chip.icon for table in chip_tables for chip in table.values()}
    named |= {chips.decision_chip(Review(decision=value)).icon for value in Decision.values}
    assert named == SPRITE


def test_every_tone_of_a_chip_has_its_colours():
    styles = Path(settings.BASE_DIR, "frontend/src/styles/controls.css").read_text()
    chip_tables = (chips.STUDY, chips.PRIORITY, chips.PREDICTION, chips.PCR, outcomes.CHIPS)
    tones = {chip.tone for table in chip_tables for chip in table.values()} - {"neutral"}
    assert all(f".chip-{tone} {{" in styles for tone in tones)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_a_template_says_what_it_is_and_holds_no_script_or_style_of_its_own(page):
    source = page.read_text()
    assert re.search(r"{#|{% comment %}", source)
    without_tags = re.sub(r"{[%{].*?[%}]}", "", source)
    assert not re.search(r"<script(?![^>]* src=)", without_tags)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals='js", without_tags)
    assert "|safe" not in source
    assert "autoescape off" not in source
    assert not re.search(r"https?://(?!www\.w3\.org/)", source)  # Works without any other server.


def test_where_the_network_did_not_look_nothing_hides_the_image():
    values = np.zeros((224, 224), dtype=np.float32)
    values[:112] = 1
    picture = np.asarray(PillowImage.open(io.BytesIO(paint(values, rows=400, columns=200))))
    assert picture.shape == (512, 256, 4)
    assert picture[-1, 0, 3] == 0
    assert tuple(picture[0, 0]) == (*VIRIDIS[-1], 255)


def test_the_map_lies_where_it_belongs_in_a_picture_that_is_not_square():
    values = np.zeros((224, 224), dtype=np.float32)
    values[0:56, 168:224] = 1  # Upper right.
    picture = np.asarray(PillowImage.open(io.BytesIO(paint(values, rows=100, columns=300))))[..., 3]
    rows, columns = np.nonzero(picture > 128)
    assert (rows.min(), columns.max()) == (0, 511)
    assert rows.max() == pytest.approx(171 / 4, abs=2)
    assert columns.min() == pytest.approx(512 * 3 / 4, abs=2)


def test_the_colours_grow_lighter_so_that_they_can_be_told_apart_without_their_hue():
    lightness = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in VIRIDIS]
    assert lightness == sorted(lightness)
    assert [place for place, _ in colour_bar()] == [0, 11, 22, 33, 44, 56, 67, 78, 89, 100]
