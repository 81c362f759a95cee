"""Tests that share a heavy service run in one process: otherwise each process would start its own."""

import pytest


@pytest.mark.xdist_group("here")
def test_the_group_of_a_test_reaches_the_scheduler(request, worker_id):
    grouped = request.node.nodeid.endswith("@here")

    assert grouped == (worker_id != "master")
