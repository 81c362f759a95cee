"""The listener's connections: bounded in what one message may take, and a slow handshake stops nobody else."""

from __future__ import annotations

import functools
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from django.db import connections
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

logger = logging.getLogger(__name__)

MAXIMUM_PDU = 1024 * 1024
"""Bytes of one protocol data unit that a peer may send; few large ones cost less than many small ones."""
HANDSHAKE_SECONDS = 10


def recv_bounded(connection: AssociationSocket, nr_bytes: int) -> bytearray:
    """``AssociationSocket.recv`` that refuses a length nobody agreed on (it comes before it is known who is calling), and that
    takes what has arrived at once, not 4 KB by 4 KB.
    """
    received = bytearray()
    if connection.socket is None or nr_bytes > MAXIMUM_PDU:
        return received  # Fewer bytes than announced: the connection is taken for broken.
    while len(received) < nr_bytes:
        chunk = connection.socket.recv(nr_bytes - len(received))
        if not chunk:
            break
        received += chunk
    return received


class Connection(RequestHandler):
    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(HANDSHAKE_SECONDS)
            try:
                self.request.do_handshake()
            except OSError:
                self.server.shutdown_request(self.request)
                return
            self.request.settimeout(self.ae.network_timeout)
        super().handle()

    def _create_association(self) -> Association:
        association = super()._create_association()
        connection = cast(AssociationSocket, association.dul.socket)
        connection.recv = functools.partial(recv_bounded, connection)  # type: ignore[method-assign]
        association.run = _closing_its_database_connection(association.run)  # type: ignore[method-assign]
        association.dul.run = _cutting_the_line(association, association.dul.run)  # type: ignore[method-assign]
        return association


def _cutting_the_line(association: Association, run: Callable[[], Any]) -> Callable[[], None]:
    """The thread that reads from the line also writes what arrives to the disk. Where that fails, the line is closed at once:
    the sender would wait for minutes, and the association take the place of another one.
    """

    def run_or_cut() -> None:
        try:
            run()
        except OSError as error:
            logger.error("An association was ended: what arrives cannot be written (%s).", error.strerror)
            association.dul.state_machine.do_action("Evt17")  # PS3.8 9.2: the connection is closed.

    return run_or_cut


def _closing_its_database_connection(run: Callable[[], Any]) -> Callable[[], None]:
    """Each association is a thread, and Django gives each thread a connection of its own."""

    def run_and_close() -> None:
        try:
            run()
        finally:
            connections.close_all()

    return run_and_close


class Server(ThreadedAssociationServer):
    """One thread for each connection; the TLS handshake is made there and not where connections are accepted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "request_handler": Connection})

    def get_request(self) -> tuple[Any, Any]:
        client, address = cast(socket.socket, self.socket).accept()
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address
