"""What need not outlive the power is as atomic as everything else, and nothing else becomes less durable."""

import pytest
from django.db import connection, transaction

from diagnosis.models import OutboxMessage
from diagnosis.services.durability import unsynced

FULL, NORMAL = 2, 1


def synchronous() -> int | None:
    """SQLite's; nothing is changed on another database."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA synchronous").fetchone()[0]


@pytest.mark.django_db(transaction=True)
class TestOutsideOfATransaction:
    @pytest.fixture(autouse=True)
    def _as_in_production(self):
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous = FULL")

    def test_it_is_synced_again_after_it(self):
        with unsynced():
            assert synchronous() in (NORMAL, None)
            OutboxMessage.objects.create(task="a", kwargs={})
        assert synchronous() in (FULL, None)
        assert OutboxMessage.objects.exists()

    @staticmethod
    def write_and_fail():
        with unsynced():
            OutboxMessage.objects.create(task="a", kwargs={})
            raise ZeroDivisionError

    def test_it_is_synced_again_and_nothing_is_written_after_an_error(self):
        with pytest.raises(ZeroDivisionError):
            self.write_and_fail()
        assert synchronous() in (FULL, None)
        assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_inside_of_a_transaction_it_is_a_part_of_that():
    with transaction.atomic():
        before = synchronous()
        with unsynced():
            assert synchronous() == before
            OutboxMessage.objects.create(task="a", kwargs={})
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()
