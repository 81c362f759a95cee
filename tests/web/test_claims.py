"""The bar that says who reads a study, and the menu of a row."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import AuditEvent, Claim, Study
from diagnosis.services.claims import claim_take
from tests.web.conftest import HTMX
from tests.web.pages import html, text


@pytest.fixture
def post(study, browser):
    """What a person's page sends about the study."""

    def send(person, name, **fields):
        return browser(person).post(reverse(f"web:{name}", args=[study.pk]), fields, headers=HTMX)

    return send


def expire():
    past = timezone.now() - dt.timedelta(minutes=1)
    Claim.objects.update(claimed_at=past - dt.timedelta(hours=1), expires_at=past)


def test_who_may_sign_claims_a_free_study_by_opening_it(post, radiologist):
    page = text(post(radiologist, "claim", act="open"))
    assert "You read this study until" in page
    assert Claim.objects.get().holder == radiologist


@pytest.mark.parametrize("person", ["doctor", "admin"])
def test_who_may_not_sign_claims_nothing_by_opening_it(post, request, person):
    assert post(request.getfixturevalue(person), "claim", act="open").status_code == 200
    assert not Claim.objects.exists()


def test_a_study_that_is_read_is_not_claimed_by_opening_it(post, radiologist, study):
    Study.objects.update(status="read")
    post(radiologist, "claim", act="open")
    assert not Claim.objects.exists()


def test_the_second_one_is_told_and_takes_nothing(post, radiologist, second_radiologist, study):
    claim_take(actor=radiologist, study=study)
    for act in ("open", "renew", "take", "release", "leave", "", "x"):
        response = post(second_radiologist, "claim", act=act)
        if act != "leave":
            assert "Claimed by Rafael Reader until" in text(response)
            assert "you cannot sign until the claim has ended" in text(response)
        assert Claim.objects.get().holder == radiologist


def test_opening_does_not_take_over_what_ran_out_but_a_button_with_a_reason_does(
    post, radiologist, second_radiologist, study
):
    claim_take(actor=radiologist, study=study)
    expire()
    page = text(post(second_radiologist, "claim", act="open"))
    assert "The claim of Rafael Reader ran out at" in page
    assert Claim.objects.get().holder == radiologist
    assert "Say why you take it over" in text(post(second_radiologist, "claim", act="take"))
    response = post(second_radiologist, "claim", act="take", reason="holder_away")
    assert "You read this study until" in text(response)
    assert response["HX-Trigger"] == '{"worklist-changed": {}}'


def test_the_page_that_is_left_gives_the_study_back(post, radiologist, study):
    claim = claim_take(actor=radiologist, study=study)
    assert post(radiologist, "claim", act="leave", opened="x").status_code == 204
    assert Claim.objects.exists()
    post(radiologist, "claim", act="leave", opened=claim.opened)
    assert not Claim.objects.exists()


def test_the_bar_renews_the_own_claim_and_asks_about_that_of_another(
    post, radiologist, second_radiologist, study
):
    claim_take(actor=radiologist, study=study)
    assert '"act": "renew"' in html(post(radiologist, "claim", act="renew"))
    assert '"act": ""' in html(post(second_radiologist, "claim", act=""))


def test_an_administrator_ends_a_claim_from_the_bar(post, radiologist, admin, study):
    claim_take(actor=radiologist, study=study)
    assert "End the claim" in text(post(admin, "claim", act=""))
    assert "Say why you end the claim" in text(post(admin, "claim_end", reason="x"))
    post(admin, "claim_end", reason="holder_away")
    assert not Claim.objects.exists()


def test_the_row_says_who_reads_and_who_is_to_read(browser, radiologist, second_radiologist, study):
    claim_take(actor=radiologist, study=study)
    Study.objects.update(assigned_to=second_radiologist)
    home = reverse("web:home")
    assert "Rafael Reader until" in text(browser(second_radiologist).get(home))
    page = text(browser(radiologist).get(home))
    assert "You until" in page
    assert "Sara Second" in page
    expire()
    assert "until" not in text(browser(radiologist).get(home)).partition("Decision")[2]


def test_the_menu_offers_what_the_person_may_do(
    browser, doctor, radiologist, second_radiologist, admin, study
):
    url = reverse("web:menu", args=[study.pk])
    offers = {person: text(browser(person).get(url)) for person in (doctor, radiologist, admin)}
    assert "Claim Assign to me Priority" in offers[radiologist]
    assert "Claim" not in offers[doctor]
    assert "Priority" in offers[doctor]
    assert "Nobody Rafael Reader Sara Second Assign" in offers[admin]
    assert "Dora Doctor" not in offers[admin]


def test_a_change_of_priority_comes_with_its_way_back(post, browser, doctor, study):
    response = post(doctor, "priority", priority="stat", seen="routine")
    assert "The study is stat now. Undo" in text(response)
    assert response["HX-Trigger"] == '{"worklist-changed": {}}'
    undo = response.context["undo"]
    assert "The study is routine now." in text(browser(doctor).post(undo.url, undo.fields, headers=HTMX))
    assert Study.objects.get().priority == "routine"


@pytest.mark.parametrize(("priority", "seen"), [("urgent", "stat"), ("now", "routine"), ("", "")])
def test_a_priority_that_is_not_there_any_more_is_refused(post, doctor, priority, seen):
    response = post(doctor, "priority", priority=priority, seen=seen)
    assert response.status_code == 409
    assert Study.objects.get().priority == "routine"
    assert not AuditEvent.objects.filter(action="priority_changed").exists()


def test_a_reader_is_assigned_and_taken_back_without_a_script_too(browser, admin, radiologist, study):
    client, url = browser(admin), reverse("web:reader", args=[study.pk])
    assert client.post(url, {"reader": str(radiologist.pk)}).status_code == 302
    page = client.get(reverse("web:home"))
    assert "Assigned to Rafael Reader. Undo" in text(page)
    undo = page.context["undo"]
    client.post(undo.url, undo.fields)
    assert Study.objects.get().assigned_to is None
    assert client.post(url, {"reader": str(admin.pk)}).status_code == 404
