"""The fixed cast of the tests: one hospital with its people, and a doctor of another hospital."""

import pytest

from diagnosis.models import Site, User
from diagnosis.services.accounts import membership_set, system_user
from tests.factories import SiteFactory, UserFactory


@pytest.fixture
def site(db: None) -> Site:
    return SiteFactory(name="Saint Example", time_zone="Europe/Madrid")


@pytest.fixture
def other_site(db: None) -> Site:
    return SiteFactory(name="Elsewhere General")


def _person(username: str, first_name: str, last_name: str, site: Site, role: str) -> User:
    user = UserFactory(username=username, first_name=first_name, last_name=last_name)
    membership_set(actor=system_user(), user=user, site=site, role=role)
    return user


@pytest.fixture
def doctor(site: Site) -> User:
    return _person("doctor", "Dora", "Doctor", site, "doctor")


@pytest.fixture
def radiologist(site: Site) -> User:
    return _person("radiologist", "Rafael", "Reader", site, "radiologist")


@pytest.fixture
def second_radiologist(site: Site) -> User:
    return _person("second_radiologist", "Sara", "Second", site, "radiologist")


@pytest.fixture
def admin(site: Site) -> User:
    return _person("admin", "Ada", "Admin", site, "admin")


@pytest.fixture
def outsider(other_site: Site) -> User:
    """A doctor of another hospital, who must see nothing of this one."""
    return _person("outsider", "Otto", "Outsider", other_site, "doctor")
