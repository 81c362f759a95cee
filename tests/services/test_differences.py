"""The difference between two versions of a text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnosis.selectors.differences import Change, difference


def marked(old: str, new: str) -> str:
    signs = {Change.SAME: "{}", Change.ADDED: "+{}+", Change.REMOVED: "-{}-"}
    return "".join(signs[passage.change].format(passage.text) for passage in difference(old, new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Opacity on the left.", "Opacity on the right.", "Opacity on the -left-+right+."),
        ("left lower zone", "right upper zone", "-left lower-+right upper+ zone"),
        ("Clear.", "Clear lungs.", "Clear+ lungs+."),
        ("", "New.", "+New.+"),
        ("Gone.", "", "-Gone.-"),
        ("Same.", "Same.", "Same."),
        ("右下肺野に浸潤影", "左下肺野に浸潤影", "-右-+左+下肺野に浸潤影"),
        ("One.\nTwo.", "One.\nTwo!", "One.\nTwo-.-+!+"),
    ],
    ids=["word", "words", "added", "all new", "all gone", "same", "no spaces", "line"],
)
def test_changed_words_are_marked_where_they_stand(old, new, expected):
    assert marked(old, new) == expected


@given(st.text(alphabet="ab .\né右", max_size=60), st.text(alphabet="ab .\né右", max_size=60))
def test_nothing_of_either_text_is_lost(old, new):
    passages = difference(old, new)
    assert "".join(p.text for p in passages if p.change is not Change.ADDED) == old
    assert "".join(p.text for p in passages if p.change is not Change.REMOVED) == new


def test_the_longest_texts_do_not_keep_a_reader_waiting():
    old = " ".join(f"w{n * 7 % 90}" for n in range(2500))[:10_000]
    new = " ".join(f"w{n * 11 % 90}" for n in range(2500))[:10_000]
    started = time.process_time()
    difference(old, new)
    assert time.process_time() - started < 2
