"""The folder as broker: no message is seen before it is whole."""

import os
import threading
from queue import Empty

import pytest
from kombu import Connection, Producer, Queue

from cxr_portal import broker  # Makes folder:// known.
from cxr_portal.broker import Bell

MESSAGES = 2000


@pytest.fixture
def connect(tmp_path):
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
        "polling_interval": 0.001,
    }
    connections = []

    def _connect() -> Connection:
        connections.append(Connection("folder://localhost//", transport_options=options))
        return connections[-1]

    yield _connect
    for connection in connections:
        connection.release()


def test_a_reader_that_looks_all_the_time_gets_every_message_whole_and_in_order(connect):
    queue = Queue("analysis")
    queue(connect().channel()).declare()
    sender = Producer(connect().channel())
    reader = connect().channel()

    def send() -> None:
        for number in range(MESSAGES):
            sender.publish({"number": number}, exchange="", routing_key="analysis")

    thread = threading.Thread(target=send)
    thread.start()
    received = []
    while thread.is_alive() or len(received) < MESSAGES:
        try:
            message = reader._get("analysis")
        except Empty:
            if not thread.is_alive() and reader._size("analysis") == 0:
                break
        else:
            received.append(reader.message_to_python(message).decode()["number"])
    thread.join()

    assert received == list(range(MESSAGES))


def test_a_message_waits_for_a_reader_that_comes_later(connect):
    Producer(connect().channel()).publish({"id": 7}, exchange="", routing_key="analysis")

    channel = connect().channel()
    assert channel.message_to_python(channel._get("analysis")).decode() == {"id": 7}


@pytest.fixture
def bell(tmp_path):
    bell = Bell(broker.bells_in(tmp_path / "control"))
    yield bell
    bell.close()


def test_who_waits_is_woken_by_a_message_and_by_nothing_else(connect, bell):
    assert not bell.wait(0)
    Producer(connect().channel()).publish({"id": 7}, exchange="", routing_key="analysis")
    assert bell.wait(0)
    assert not bell.wait(0)


def test_a_worker_waits_at_a_bell_of_its_own_and_takes_it_away(connect, tmp_path):
    connection = connect()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.01)
    assert len(list(broker.bells_in(tmp_path / "control").iterdir())) == 1
    connection.release()
    assert not list(broker.bells_in(tmp_path / "control").iterdir())


def test_the_bell_of_a_killed_worker_is_removed_by_the_next_message(connect, bell, tmp_path):
    left = broker.bells_in(tmp_path / "control") / "left"
    os.mkfifo(left)
    Producer(connect().channel()).publish({"id": 7}, exchange="", routing_key="analysis")
    assert not left.exists()
    assert bell.wait(0)


def test_a_bell_that_nobody_hears_stops_no_sender(bell, tmp_path):
    for _ in range(70_000):  # A pipe of Linux holds 65,536 bytes.
        Bell.ring(broker.bells_in(tmp_path / "control"))
    assert bell.wait(0)
