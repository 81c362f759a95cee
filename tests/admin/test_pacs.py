"""PACS peers: superusers name them, and every change is on record."""

import pytest
from django.urls import reverse

from diagnosis.models import AuditEvent, PacsPeer
from tests.admin.conftest import list_of, page_of


@pytest.fixture
def values(site, doctor):
    return {
        "site": site.pk,
        "name": "Room 2",
        "account": doctor.pk,
        "is_active": "on",
        "ae_title": "ROOM2",
        "may_send": "on",
        "networks": "10.1.2.0/24, 10.1.3.4",
        "query_protocol": "",
        "retrieve_method": "c_get",
    }


@pytest.fixture
def browser(visit, superuser):
    return visit(superuser)


def errors(response):
    assert response.status_code == 200
    return set(response.context["adminform"].form.errors)


def test_a_superuser_names_a_peer_and_that_is_on_record(browser, superuser, site, values):
    response = browser.post(reverse("admin:diagnosis_pacspeer_add"), values)
    assert response.status_code == 302, response.context["adminform"].form.errors
    peer = PacsPeer.objects.get()
    assert (peer.site, peer.ae_title, peer.may_send) == (site, "ROOM2", True)
    event = AuditEvent.objects.get(action="access_changed", object_type="pacspeer")
    assert (event.actor, event.site, event.details["created"]) == (superuser, site, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"networks": ""}, "networks"),
        ({"networks": "anywhere"}, "networks"),
        ({"ae_title": ""}, "ae_title"),
        ({"ae_title": "A\\B"}, "ae_title"),
        ({"ae_title": "seventeen letters"}, "ae_title"),
        ({"query_protocol": "dimse"}, "host"),
        ({"query_protocol": "dicomweb"}, "dicomweb_url"),
        ({"query_protocol": "dicomweb", "dicomweb_url": "file:///etc/passwd"}, "dicomweb_url"),
        ({"secret_name": "SECRET_KEY"}, "secret_name"),
        ({"port": "70000"}, "port"),
    ],
    ids=str,
)
def test_what_cannot_work_is_said_at_its_field(browser, values, change, field):
    response = browser.post(reverse("admin:diagnosis_pacspeer_add"), {**values, **change})
    assert field in errors(response)
    assert not PacsPeer.objects.exists()


def test_an_account_that_may_not_store_there_is_refused(browser, values, outsider):
    response = browser.post(reverse("admin:diagnosis_pacspeer_add"), {**values, "account": outsider.pk})
    assert errors(response) == {"account"}


def test_an_administrator_of_the_site_looks_and_changes_nothing(
    visit, admin, site, doctor, other_site, outsider
):
    ours = PacsPeer.objects.create(site=site, name="Ours", account=doctor)
    theirs = PacsPeer.objects.create(site=other_site, name="Theirs", account=outsider)
    browser = visit(admin)
    shown = browser.get(list_of("pacspeer")).content.decode()
    assert "Ours" in shown
    assert "Theirs" not in shown
    assert browser.get(page_of("pacspeer", theirs)).status_code in (302, 404)
    assert browser.post(page_of("pacspeer", ours), {"name": "Changed"}).status_code == 403


@pytest.mark.parametrize(
    ("networks", "address", "is_let_in"),
    [
        ("10.1.2.0/24", "10.1.2.77", True),
        ("10.1.2.0/24", "10.1.3.1", False),
        ("10.1.2.3, 10.1.2.4", "10.1.2.4", True),
        ("10.1.2.3", "::ffff:10.1.2.3", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.1.2.3", False),
    ],
)
def test_a_peer_calls_from_its_addresses_alone(networks, address, is_let_in):
    assert PacsPeer(networks=networks).calls_from(address) is is_let_in
