"""Clinical records in the admin: to be looked at by those who administer the site, and changed by nobody."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from diagnosis.models import AuditEvent, OutboxMessage
from tests.admin.conftest import list_of, make_records, page_of
from tests.factories import PatientFactory

CLINICAL = [
    "patient",
    "study",
    "image",
    "prediction",
    "firstread",
    "review",
    "labresult",
    "symptomnote",
    "incomingfile",
]
SCOPED = [*CLINICAL, "heldfile", "auditevent", "pacsretrieval"]
READ_ONLY = [*SCOPED, "modelversion", "outboxmessage"]
CASES = ["caserules", "criticalfinding", "criticalresult", "discrepancy", "escalationcontact", "secondread"]
"""Of them ``test_cases``."""


def test_the_table_names_every_model_of_the_admin():
    registered = {model._meta.model_name for model in admin.site._registry}
    assert registered == {*READ_ONLY, *CASES, "user", "site", "pacspeer", "reporttext", "reportletterhead"}


@pytest.mark.parametrize("name", SCOPED)
def test_an_administrator_finds_the_records_of_the_own_site_alone(visit, admin, here, there, name):
    browser = visit(admin)
    page = browser.get(list_of(name))
    assert page.status_code == 200
    shown = {record.pk for record in page.context["cl"].queryset}
    assert here[name].pk in shown
    assert there[name].pk not in shown
    assert b"Theo" not in page.content
    assert browser.get(page_of(name, here[name])).status_code == 200
    # Django answers a record that may not be seen like one that does not exist.
    assert browser.get(page_of(name, there[name])).status_code == 302


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_superuser_opens_every_record_of_every_site(visit, superuser, here, there, outbox_message, name):
    browser = visit(superuser)
    records = [here.get(name, outbox_message), there.get(name, outbox_message)]
    assert {r.pk for r in records} <= {r.pk for r in browser.get(list_of(name)).context["cl"].queryset}
    for record in records:
        assert browser.get(page_of(name, record)).status_code == 200


@pytest.mark.parametrize("person", ["doctor", "radiologist", "outsider"])
def test_others_do_not_come_into_the_admin(visit, request, here, person):
    browser = visit(request.getfixturevalue(person))
    for address in [reverse("admin:index"), list_of("patient"), page_of("patient", here["patient"])]:
        assert browser.get(address).status_code in (302, 403)


def test_somebody_whose_role_was_taken_away_is_locked_out_even_with_the_staff_mark(visit, doctor, here):
    doctor.is_staff = True
    doctor.save()
    browser = visit(doctor)
    assert browser.get(list_of("patient")).status_code == 403
    assert browser.get(page_of("patient", here["patient"])).status_code == 403


@pytest.mark.parametrize("name", READ_ONLY)
@pytest.mark.parametrize("who", ["superuser", "admin"])
def test_nothing_is_added_changed_or_deleted_in_the_admin(visit, request, here, outbox_message, name, who):
    record = here.get(name, outbox_message)
    browser = visit(request.getfixturevalue(who))
    rows = type(record).objects.order_by("pk")
    before = list(rows.values())
    assert browser.get(reverse(f"admin:diagnosis_{name}_add")).status_code == 403
    assert browser.post(
        page_of(name, record), {"mrn": "X", "status": "read", "label": "normal"}
    ).status_code in (302, 403)
    assert (
        browser.post(reverse(f"admin:diagnosis_{name}_delete", args=[record.pk]), {"post": "yes"}).status_code
        == 403
    )
    browser.post(list_of(name), {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"})
    after = list(rows.values())
    assert after[: len(before)] == before
    assert len(after) == len(before) or name == "auditevent"


@pytest.mark.parametrize("name", CLINICAL)
def test_opening_a_record_in_the_admin_is_itself_on_record(visit, admin, here, name):
    record = here[name]
    before = AuditEvent.objects.count()
    visit(admin).get(page_of(name, record))
    opened = AuditEvent.objects.filter(details={"opened_in": "admin"}).get()
    assert (opened.actor, opened.actor_role, opened.site) == (admin, "admin", here["site"])
    assert (opened.object_type, opened.object_id) == (name, str(record.pk))
    assert opened.patient == (None if name == "incomingfile" else here["patient"])
    assert AuditEvent.objects.count() == before + 2  # The login is the other.


def test_a_search_in_the_admin_is_on_record_once(visit, admin, here):
    visit(admin).get(list_of("patient"), {"q": "Helen"})
    event = AuditEvent.objects.get(action="records_searched")
    assert (event.actor, event.details) == (admin, {"records": "patient", "query": "Helen"})


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("patient", "Helen"),
        ("study", "Helen"),
        ("study", "ACC-"),
        ("image", "Helen"),
        ("prediction", "Helen"),
        ("review", "Helen"),
        ("labresult", "Helen"),
        ("symptomnote", "Helen"),
        ("auditevent", "Helen"),
    ],
)
def test_records_are_found_by_the_patient_at_the_own_site_alone(visit, admin, here, there, name, query):
    found = visit(admin).get(list_of(name), {"q": query}).context["cl"].queryset
    assert [record.pk for record in found] == [here[name].pk] or name == "auditevent"
    assert there[name].pk not in {record.pk for record in found}
    assert visit(admin).get(list_of(name), {"q": "Theo"}).context["cl"].queryset.count() == 0


def test_the_site_filter_names_only_sites_that_the_person_may_inspect(visit, admin, superuser, here, there):
    assert b"Elsewhere General" not in visit(admin).get(list_of("patient")).content
    browser = visit(superuser)
    assert b"Elsewhere General" in browser.get(list_of("patient")).content
    found = browser.get(list_of("patient"), {"site": there["site"].pk}).context["cl"].queryset
    assert list(found) == [there["patient"]]


@pytest.mark.parametrize("asked", ["another site's", "999999", "x", "1 OR 1=1"])
def test_a_site_that_is_not_offered_finds_nothing(visit, admin, here, there, asked):
    value = there["site"].pk if asked == "another site's" else asked
    assert visit(admin).get(list_of("patient"), {"site": value}).context["cl"].queryset.count() == 0


def test_nobody_asks_across_relations_that_are_no_filter(visit, admin, here):
    browser = visit(admin)
    for lookup in ("entered_by__password__startswith", "patient__mrn__startswith"):
        assert browser.get(list_of("labresult"), {lookup: "a"}).status_code == 400


def test_suggestions_as_one_types_stay_within_the_own_site(visit, admin, here, there):
    query = {"app_label": "diagnosis", "model_name": "study", "field_name": "patient", "term": "^"}
    response = visit(admin).get(reverse("admin:autocomplete"), query)
    assert [row["id"] for row in response.json()["results"]] == [str(here["patient"].pk)]


@pytest.mark.parametrize("name", SCOPED)
def test_a_longer_list_costs_no_more_queries(visit, superuser, site, radiologist, here, name):
    browser = visit(superuser)
    browser.get(list_of(name))
    with CaptureQueriesContext(connection) as few:
        browser.get(list_of(name))
    for n in range(3):
        make_records(site, radiologist, f"More{n}^Maria")
    with CaptureQueriesContext(connection) as many:
        browser.get(list_of(name))
    assert len(many) == len(few)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "山田^太郎", "مثال^ليلى"]
)
def test_a_name_is_text_in_every_list_and_page(visit, admin, site, radiologist, name):
    records = make_records(site, radiologist, name)
    browser = visit(admin)
    for model in SCOPED:
        for address in (list_of(model), page_of(model, records[model])):
            page = browser.get(address).content.decode()
            assert "<script>alert" not in page
            assert "<img src=x" not in page


def test_a_prediction_shows_its_scores_and_not_its_binary_maps(visit, admin, here):
    page = visit(admin).get(page_of("prediction", here["prediction"])).content.decode()
    assert "COVID-19: 0.810" in page
    assert "activation" not in page


def test_an_image_is_shown_through_the_portals_own_addresses(visit, admin, here):
    browser = visit(admin)
    page = browser.get(page_of("image", here["image"])).content.decode()
    address = reverse("web:thumbnail", args=[here["image"].pk])
    assert address in page
    assert browser.get(address).status_code == 200
    assert "originals/" not in page


def test_the_outbox_is_for_those_who_run_the_installation(visit, admin, superuser, outbox_message):
    assert visit(admin).get(list_of("outboxmessage")).status_code == 403
    assert visit(superuser).get(page_of("outboxmessage", outbox_message)).status_code == 200
    assert OutboxMessage.objects.count() == 1


def test_the_front_page_offers_what_the_person_may_see(visit, admin, here):
    page = visit(admin).get(reverse("admin:index")).content.decode()
    assert "CXR Portal administration" in page
    assert "Audit events" in page
    assert "Outbox" not in page
    assert not [name for name in READ_ONLY if f"/{name}/add/" in page]


def test_a_patient_of_the_own_site_is_not_opened_by_another_sites_number(visit, admin, other_site, here):
    theirs = PatientFactory(site=other_site)
    before = AuditEvent.objects.count()
    visit(admin).get(page_of("patient", theirs))
    assert not AuditEvent.objects.filter(details={"opened_in": "admin"}).exists()
    assert AuditEvent.objects.count() == before + 1  # The login.


def test_unsure_opinions_are_found_and_named_in_the_admin(visit, admin, here):
    unsure = here["prediction"]
    type(unsure).objects.filter(pk=unsure.pk).update(possible_labels=["covid19", "normal"])
    browser = visit(admin)
    for wanted, found in (("yes", [unsure.pk]), ("no", [])):
        page = browser.get(list_of("prediction"), {"unsure": wanted})
        assert [record.pk for record in page.context["cl"].queryset] == found
    assert "Unsure: COVID-19 or Normal" in browser.get(page_of("prediction", unsure)).content.decode()


def test_a_model_in_the_admin_leads_to_the_page_for_its_readers(visit, admin, here):
    page = visit(admin).get(page_of("modelversion", here["modelversion"]))
    assert reverse("web:model", args=[here["modelversion"].pk]) in page.content.decode()
