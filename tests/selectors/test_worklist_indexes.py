"""The database answers the worklist from its indexes, on SQLite and on PostgreSQL: it reads a page, and not a hospital."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import connection

from diagnosis.models import Site, User
from diagnosis.selectors.worklist import (
    ORDERS,
    Sort,
    Viewer,
    WorklistFilter,
    list_page,
    matching,
    patients_with_word,
)
from diagnosis.services.accounts import membership_set, system_user
from tests.harness.portal import clean_environment, manage
from tests.harness.servers import postgres_database

#: What is asked for → the index that answers it.
PAGES = {
    "open, most urgent first": ({"status": "open", "sort": "priority"}, "study_open_by_priority"),
    "all, most urgent first": ({"sort": "priority"}, "study_by_priority"),
    "newest first": ({"sort": "newest"}, "study_worklist"),
    "oldest first": ({"sort": "oldest"}, "study_worklist"),
    "open, most suspicious first": ({"status": "open", "sort": "suspicion"}, "study_open_by_suspicion"),
    "by name": ({"sort": "name"}, "study_by_name"),
    "failed": ({"opinion": "failed"}, "study_by_opinion_state"),
    "overridden": ({"case": "disagreement"}, "study_overridden"),
}
PLANS = """
import json
from django.db import connection
from diagnosis.models import Site, User
from diagnosis.services.accounts import membership_set, system_user
from tests.selectors.test_worklist_indexes import PAGES, queries
user = User.objects.create(username="reader")
membership_set(actor=system_user(), user=user, site=Site.objects.get(), role="radiologist")
plans = {}
for name, (sql, parameters) in queries(user).items():
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql, parameters)
        plans[name] = [row[0] for row in cursor.fetchall()]
print(json.dumps(plans))
"""


def queries(user):
    """The query of each page of ``PAGES``, and that which looks a word up."""
    viewer = Viewer.of(user)
    found = {}
    for name, (query, _) in PAGES.items():
        narrow = WorklistFilter.of(query)
        columns, ascending = ORDERS[narrow.sort]
        order = [column if ascending else f"-{column}" for column in columns]
        studies = matching(viewer, narrow)[0].order_by(*order).values_list(*columns)[:26]
        found[name] = studies.query.sql_with_params()
    patients = patients_with_word(viewer.sites, "garcia")
    assert patients is not None
    found["a word"] = patients[:501].query.sql_with_params()
    return found


@pytest.fixture
def reader(db):
    call_command("generate_studies", "300", verbosity=0)
    user = User.objects.create(username="reader")
    membership_set(actor=system_user(), user=user, site=Site.objects.get(), role="radiologist")
    return user


def test_sqlite_reads_each_order_from_an_index_and_sorts_nothing_but_suspicion_within_one_urgency(reader):
    plans = {}
    for name, (sql, parameters) in queries(reader).items():
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            plans[name] = " | ".join(str(row[3]) for row in cursor.fetchall())
    for name, (query, _) in PAGES.items():
        assert "SCAN diagnosis_study" not in plans[name], name
        if query.get("sort") == "suspicion":
            # The index holds the open ones alone, which SQLite cannot tell from values that are bound: it sorts within one
            # urgency. Only a site that lets the network come first asks for this order, and a large one runs PostgreSQL.
            assert "TEMP B-TREE FOR RIGHT PART OF ORDER BY" in plans[name], plans[name]
        elif not {"opinion", "case"} & set(query):
            assert "TEMP B-TREE" not in plans[name], (name, plans[name])


@pytest.mark.parametrize("sort", Sort.values)
def test_a_page_in_the_middle_is_a_range_of_the_index(reader, sort):
    viewer = Viewer.of(reader)
    page = list_page(viewer, WorklistFilter(sort=sort), size=100)
    with connection.execute_wrapper(lambda execute, sql, *rest: (asked.append(sql), execute(sql, *rest))[1]):
        asked: list[str] = []
        list_page(viewer, WorklistFilter(sort=sort), after=page.after, size=25)
    assert ") > (" in asked[-1] or ") < (" in asked[-1]


@pytest.mark.xdist_group("production")
def test_postgresql_reads_a_page_and_not_a_hospital(postgres, tmp_path):
    with postgres_database(postgres, "indexes") as url:
        environment = clean_environment(
            CXR_MODE="embedded", CXR_VAR_DIR=str(tmp_path), DATABASE_URL=url, PYTHONPATH="."
        )
        manage(environment, "migrate", "--verbosity", "0")
        manage(environment, "generate_studies", "20000")
        plans = json.loads(manage(environment, "shell", "--no-imports", "--command", PLANS))
    for name, (_, index) in PAGES.items():
        plan = "\n".join(plans[name])
        assert index in plan, (name, plan)
        assert "Seq Scan on diagnosis_study" not in plan, (name, plan)
    assert "patient_term" in "\n".join(plans["a word"])
    assert "Seq Scan" not in "\n".join(plans["a word"])
