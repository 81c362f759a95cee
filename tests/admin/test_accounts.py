"""Accounts, roles and sites: superusers manage them, and every change is on record."""

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from diagnosis.models import AuditEvent, Membership, Site, User
from diagnosis.services.accounts import (
    account_save,
    membership_remove,
    membership_set,
    site_save,
    staff_sync,
    system_user,
)
from diagnosis.services.tokens import token_issue
from tests.admin.conftest import list_of, page_of
from tests.factories import PASSWORD

NEW_PASSWORD = "another long passphrase"


def membership_rows(*rows, initial=0):
    """The inline form's fields. A row: (membership or None, site, role, delete)."""
    data = {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": initial}
    for n, (membership, site, role, delete) in enumerate(rows):
        data |= {f"memberships-{n}-site": site.pk, f"memberships-{n}-role": role}
        if membership:
            data |= {f"memberships-{n}-id": membership.pk, f"memberships-{n}-user": membership.user_id}
        if delete:
            data[f"memberships-{n}-DELETE"] = "on"
    return data


def account(user, **changes):
    values = {
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
    }
    values |= {"is_active": "on"} if user.is_active else {}
    return {**values, **changes}


@pytest.fixture
def browser(visit, superuser):
    return visit(superuser)


def test_a_superuser_makes_an_account_with_a_role_at_a_site(browser, superuser, site):
    response = browser.post(
        reverse("admin:diagnosis_user_add"),
        {
            "username": "newdoctor",
            "usable_password": "true",
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
            "first_name": "Nina",
            "last_name": "New",
            "email": "",
            **membership_rows((None, site, "doctor", False)),
        },
    )
    assert response.status_code == 302, response.context["errors"]
    user = User.objects.get(username="newdoctor")
    assert user.check_password(NEW_PASSWORD)
    assert not user.is_staff
    assert Membership.objects.get(user=user).role == "doctor"
    events = AuditEvent.objects.filter(action="access_changed", object_id=str(user.pk))
    assert {event.actor for event in events} == {superuser}
    assert [event.details.get("role") for event in events.order_by("seq")] == [None, "doctor"]
    assert NEW_PASSWORD not in str([event.details for event in events])


def test_a_role_is_changed_and_taken_away_on_the_page_of_the_account(browser, doctor, site, other_site):
    membership = doctor.memberships.get()
    rows = membership_rows(
        (membership, site, "admin", False), (None, other_site, "radiologist", False), initial=1
    )
    assert browser.post(page_of("user", doctor), {**account(doctor), **rows}).status_code == 302
    doctor.refresh_from_db()
    assert doctor.is_staff
    assert set(doctor.memberships.values_list("site", "role")) == {
        (site.pk, "admin"),
        (other_site.pk, "radiologist"),
    }
    first, second = doctor.memberships.order_by("pk")
    rows = membership_rows(
        (first, site, "admin", True), (second, other_site, "radiologist", False), initial=2
    )
    browser.post(page_of("user", doctor), {**account(doctor), **rows})
    doctor.refresh_from_db()
    assert not doctor.is_staff
    assert list(doctor.memberships.values_list("site", flat=True)) == [other_site.pk]
    removed = AuditEvent.objects.filter(action="access_changed", site=site).first()
    assert removed.details == {"username": "doctor", "removed_role": "admin"}


def test_a_membership_is_not_moved_to_another_site(browser, doctor, site, other_site):
    membership = doctor.memberships.get()
    rows = membership_rows((membership, other_site, "doctor", False), initial=1)
    browser.post(page_of("user", doctor), {**account(doctor), **rows})
    assert doctor.memberships.get().site == site


def test_a_closed_account_loses_its_tokens_and_its_session(browser, visit, doctor):
    token_issue(user=doctor)
    theirs = visit(doctor)
    changed = {name: value for name, value in account(doctor).items() if name != "is_active"}
    membership = doctor.memberships.get()
    rows = membership_rows((membership, membership.site, "doctor", False), initial=1)
    assert browser.post(page_of("user", doctor), {**changed, **rows}).status_code == 302
    assert not AuthToken.objects.exists()
    assert theirs.get("/").status_code == 302
    event = AuditEvent.objects.filter(action="access_changed", object_id=str(doctor.pk)).first()
    assert (event.details["fields"], event.details["is_active"]) == (["is_active"], False)


def test_a_new_password_is_on_record_without_itself_and_ends_the_tokens(browser, doctor):
    token_issue(user=doctor)
    response = browser.post(
        reverse("admin:auth_user_password_change", args=[doctor.pk]),
        {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    )
    assert response.status_code == 302
    doctor.refresh_from_db()
    assert doctor.check_password(NEW_PASSWORD)
    assert not AuthToken.objects.exists()
    event = AuditEvent.objects.filter(action="access_changed", object_id=str(doctor.pk)).first()
    assert event.details["fields"] == ["password"]
    assert NEW_PASSWORD not in str(event.details)


def test_a_password_that_is_too_weak_changes_nothing(browser, doctor):
    before = AuditEvent.objects.count()
    browser.post(
        reverse("admin:auth_user_password_change", args=[doctor.pk]),
        {"usable_password": "true", "password1": "12345", "password2": "12345"},
    )
    doctor.refresh_from_db()
    assert doctor.check_password(PASSWORD)
    assert AuditEvent.objects.count() == before


def test_an_administrator_sees_the_colleagues_of_the_own_site_and_not_where_else_they_work(
    visit, admin, doctor, outsider, other_site
):
    membership_set(actor=system_user(), user=doctor, site=other_site, role="radiologist")
    browser = visit(admin)
    page = browser.get(list_of("user"))
    assert {user.username for user in page.context["cl"].queryset} == {"doctor", "admin"}
    shown = browser.get(page_of("user", doctor))
    assert shown.status_code == 200
    for content in (page.content, shown.content):
        assert b"Elsewhere" not in content
        assert b"md5$" not in content
    assert doctor.password.split("$")[-1].encode() not in shown.content
    assert browser.get(page_of("user", outsider)).status_code == 302


def test_an_administrator_changes_no_account_no_role_and_no_site(visit, admin, doctor, site):
    browser = visit(admin)
    rows = membership_rows((None, site, "admin", False))
    attempts = [
        (page_of("user", doctor), {**account(doctor, is_superuser="on"), **rows}),
        (page_of("user", admin), {**account(admin, is_superuser="on"), **rows}),
        (
            reverse("admin:diagnosis_user_add"),
            {"username": "x", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
        ),
        (
            reverse("admin:auth_user_password_change", args=[doctor.pk]),
            {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
        ),
        (reverse("admin:diagnosis_user_delete", args=[doctor.pk]), {"post": "yes"}),
        (page_of("site", site), {"name": "Mine", "time_zone": "UTC"}),
        (reverse("admin:diagnosis_site_add"), {"name": "Mine", "time_zone": "UTC"}),
        (reverse("admin:diagnosis_site_delete", args=[site.pk]), {"post": "yes"}),
    ]
    for address, data in attempts:
        assert browser.post(address, data).status_code == 403, address
    assert not User.objects.filter(is_superuser=True).exists()
    assert Membership.objects.get(user=doctor).role == "doctor"
    doctor.refresh_from_db()
    assert doctor.check_password(PASSWORD)
    assert list(Site.objects.values_list("name", flat=True)) == ["Saint Example"]


def test_an_administrator_does_not_look_for_accounts_by_parts_of_their_password(visit, admin, doctor):
    assert visit(admin).get(list_of("user"), {"password__startswith": "md5"}).status_code == 400


@pytest.mark.parametrize("who", ["admin", "doctor"])
def test_the_services_themselves_refuse_who_may_not_manage_accounts(request, radiologist, site, who):
    actor = request.getfixturevalue(who)
    for act in (
        lambda: membership_set(actor=actor, user=radiologist, site=site, role="admin"),
        lambda: membership_remove(actor=actor, membership=radiologist.memberships.get()),
        lambda: account_save(actor=actor, user=radiologist, changed=[]),
        lambda: site_save(actor=actor, site=site, changed=[]),
    ):
        with pytest.raises(PermissionDenied, match="Only a superuser"):
            act()


def test_a_superuser_makes_a_site_and_a_time_zone_must_exist(browser, superuser):
    add = reverse("admin:diagnosis_site_add")
    page = browser.get(add)
    shown = {field.name: field.value() for field in page.context["adminform"].form}
    # Who says nothing about it gets the protocol that keeps the network from readers.
    assert shown["reading_protocol"] == "read-first"
    assert shown["deidentification"] == "off"
    values = {name: value for name, value in shown.items() if value is not None} | {"name": "New Hospital"}
    assert browser.post(add, {**values, "time_zone": "Europe/Nowhere"}).status_code == 200
    assert not Site.objects.exists()
    assert browser.post(add, {**values, "time_zone": "Europe/Madrid"}).status_code == 302
    event = AuditEvent.objects.get(action="access_changed")
    assert (event.actor, event.details["site"]) == (superuser, "New Hospital")


def test_nobody_is_deleted_because_the_audit_refers_to_them(browser, doctor, site):
    assert (
        browser.post(reverse("admin:diagnosis_user_delete", args=[doctor.pk]), {"post": "yes"}).status_code
        == 403
    )
    assert (
        browser.post(reverse("admin:diagnosis_site_delete", args=[site.pk]), {"post": "yes"}).status_code
        == 403
    )


def test_the_account_of_the_workers_is_not_changed_by_hand(browser):
    worker = system_user()
    assert browser.get(page_of("user", worker)).status_code == 200
    assert (
        browser.post(
            page_of("user", worker), {**account(worker, username="x"), **membership_rows()}
        ).status_code
        == 403
    )


def test_somebody_without_a_login_is_sent_to_the_portals_own_login(db):
    response = Client().get(reverse("admin:index"), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("account_login"))


def test_ones_own_password_is_changed_on_the_page_that_puts_it_on_record(browser):
    response = browser.post(reverse("admin:password_change"), {"new_password1": NEW_PASSWORD})
    assert response.status_code == 302
    assert response.url == reverse("account_change_password")


def test_staff_follows_the_roles(doctor, site):
    doctor.is_staff = True
    doctor.save()
    staff_sync(user=doctor)
    assert not doctor.is_staff
