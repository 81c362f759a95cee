"""The folder as broker: no message is seen before it is whole."""

import threading
from queue import Empty

import pytest
from kombu import Connection, Producer, Queue

from cxr_portal import broker  # noqa: F401 (makes folder:// known)

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
