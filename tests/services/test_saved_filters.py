"""Views of the worklist that a person keeps."""

import pytest
from django.core.exceptions import ValidationError

from diagnosis.errors import Conflict
from diagnosis.models import MOST_SAVED_FILTERS, SavedFilter
from diagnosis.services.saved_filters import filter_default, filter_delete, filter_restore, filter_save


def names(user):
    return list(SavedFilter.objects.filter(user=user, deleted_at__isnull=True).values_list("name", flat=True))


def test_a_view_of_the_same_name_takes_the_place_of_the_one_before(radiologist):
    filter_save(actor=radiologist, name="Nights", query={"priority": "stat"})
    filter_save(actor=radiologist, name="  Nights ", query={"priority": "urgent"})
    assert SavedFilter.objects.get().query == {"priority": "urgent"}


@pytest.mark.parametrize(
    ("name", "words"), [("", "Give the view a name"), ("x" * 41, "at most 40 characters")]
)
def test_a_view_needs_a_short_name(radiologist, name, words):
    with pytest.raises(ValidationError, match=words):
        filter_save(actor=radiologist, name=name, query={})


def test_a_person_keeps_so_many_and_no_more(radiologist, doctor):
    for number in range(MOST_SAVED_FILTERS):
        filter_save(actor=radiologist, name=f"View {number}", query={})
    with pytest.raises(ValidationError, match="Delete one that you need no more"):
        filter_save(actor=radiologist, name="One more", query={})
    filter_save(actor=radiologist, name="View 3", query={"pcr": "none"})
    filter_save(actor=doctor, name="One more", query={})
    assert len(names(radiologist)) == MOST_SAVED_FILTERS


def test_a_deletion_is_undone_until_another_view_is_saved(radiologist):
    saved = filter_save(actor=radiologist, name="Nights", query={"priority": "stat"})
    filter_delete(actor=radiologist, saved=saved)
    assert names(radiologist) == []
    filter_restore(actor=radiologist, saved=saved)
    assert names(radiologist) == ["Nights"]
    filter_delete(actor=radiologist, saved=saved)
    filter_save(actor=radiologist, name="Days", query={})
    with pytest.raises(Conflict, match="gone for good"):
        filter_restore(actor=radiologist, saved=saved)
    assert names(radiologist) == ["Days"]


def test_nobody_deletes_or_restores_what_is_somebody_elses(radiologist, second_radiologist):
    saved = filter_save(actor=radiologist, name="Nights", query={})
    filter_delete(actor=second_radiologist, saved=saved)
    assert names(radiologist) == ["Nights"]
    filter_delete(actor=radiologist, saved=saved)
    with pytest.raises(Conflict):
        filter_restore(actor=second_radiologist, saved=saved)
    assert names(radiologist) == []


def test_the_default_is_the_last_one_that_was_chosen(radiologist):
    filter_default(actor=radiologist, key="stat")
    filter_default(actor=radiologist, key="mine")
    radiologist.refresh_from_db()
    assert radiologist.worklist_view == "mine"
