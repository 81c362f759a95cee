"""The OpenAPI schema is complete and says what the API does."""

import re

import pytest
import yaml
from django.core.management import call_command

from diagnosis.api.urls import urlpatterns


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    file = tmp_path_factory.mktemp("schema") / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    return yaml.safe_load(file.read_text())


def test_the_schema_is_valid_and_generated_without_a_warning(schema):
    assert schema["openapi"].startswith("3.")


def test_every_address_is_in_the_schema(schema):
    addresses = {
        "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(p.pattern))
        for p in urlpatterns
        if p.name != "unknown"
    }
    documented = {re.sub(r"\{\w+\}", "{}", path) for path in schema["paths"]}
    assert {re.sub(r"\{\w+\}", "{}", address) for address in addresses} == documented


def test_every_operation_but_the_login_needs_a_token_or_a_session(schema):
    open_to_all = [
        operation["operationId"]
        for path in schema["paths"].values()
        for operation in path.values()
        if {} in operation.get("security", [{}])
    ]
    assert open_to_all == ["auth_token_create"]


def test_the_schema_and_its_page_are_served(client, db):
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert b"swagger" in page.content.lower()


def test_the_filters_in_the_schema_are_those_that_are_accepted(schema, api):
    names = {parameter["name"] for parameter in schema["paths"]["/api/v1/studies/"]["get"]["parameters"]}
    right = {"status": "read", "priority": "stat", "patient": "00000000-0000-4000-8000-000000000000"}
    query = {
        **right,
        "second_opinion": "unsure",
        "search": "a",
        "ordering": "created_at",
        "after": "2026-01-01T00:00:00+00:00~00000000-0000-4000-8000-000000000000",
        "before": "",
        "page_size": 1,
    }
    assert set(query) == names
    assert api.get("/api/v1/studies/", query).status_code == 200
