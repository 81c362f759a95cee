"""A missing program is said, and where it must be there it is a failure."""

import pytest

from tests.harness import binaries


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch):
    monkeypatch.setattr(binaries, "find", lambda program: None)


def test_without_the_program_a_test_is_skipped_with_the_way_to_install_it(monkeypatch):
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)

    with pytest.raises(
        pytest.skip.Exception, match=r"^initdb is not installed; on Debian: apt-get install postgresql$"
    ):
        binaries.require("initdb")


def test_where_services_are_required_it_is_a_failure(monkeypatch):
    monkeypatch.setenv("REQUIRE_SERVICES", "1")

    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        binaries.require("chromium")
