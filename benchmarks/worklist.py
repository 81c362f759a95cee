"""The worklist, the search and the study page at 10,000 and 1,000,000 studies on PostgreSQL: ``python -m benchmarks.worklist``.

Both databases are of one server, filled by ``manage.py generate_studies`` and asked in turns, a page of the one and then the same
of the other, so that whatever else the machine does meets both alike. A figure is the median over the rounds: the time of a whole
request in the web process (the database included, the network not), its queries, its bytes after gzip.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.portal import ROOT, clean_environment, manage
from tests.harness.servers import postgres_database, postgres_server

SITE = "Generated Hospital"
GOAL_RATIO = 1.5
MOST_QUERIES = {"worklist": 12, "study page": 20}
MOST_BYTES = {"worklist": 60_000, "study page": 250_000}

#: Name → (kind, method, what is asked). ``{...}`` stands for what the portal in question holds.
PAGES: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "to read": ("worklist", "get", "/", {"view": "open"}),
    "all, newest": ("worklist", "get", "/", {"view": "all"}),
    "stat": ("worklist", "get", "/", {"view": "stat"}),
    "AI refused": ("worklist", "get", "/", {"view": "refused"}),
    "failed, read or not": ("worklist", "get", "/", {"opinion": "failed", "sort": "name"}),
    "waiting for PCR": ("worklist", "get", "/", {"view": "pcr"}),
    "disagreement": ("worklist", "get", "/", {"view": "disagreement"}),
    "by name, from the middle": ("worklist", "get", "/", {"sort": "name", "after": "{middle}"}),
    "by priority, all, from the middle": ("worklist", "get", "/", {"sort": "priority", "after": "{place}"}),
    "refresh": (
        "worklist",
        "post",
        "/worklist/refresh/",
        {"view": "open", "since": "2026-01-01T00:00:00+00:00"},
    ),
    "search: record number": ("search", "post", "/worklist/search/", {"q": "{mrn}"}),
    "search: accession number": ("search", "post", "/worklist/search/", {"q": "{accession}"}),
    "search: study UID": ("search", "post", "/worklist/search/", {"q": "{uid}"}),
    "search: a rare name": ("search", "post", "/worklist/search/", {"q": "{name}"}),
    "search: a frequent name": ("search", "post", "/worklist/search/", {"q": "garcia"}),
    "search: two frequent names": ("search", "post", "/worklist/search/", {"q": "garcia maria"}),
    "search: two letters": ("search", "post", "/worklist/search/", {"q": "ma"}),
    "search: nothing": ("search", "post", "/worklist/search/", {"q": "xyzxyz"}),
    "study page": ("study page", "get", "/studies/{study}/", {}),
}


@dataclasses.dataclass(frozen=True)
class Answer:
    milliseconds: float
    queries: int
    gzip_bytes: int


def serve() -> None:
    """One portal in this process: a page for each line of standard input, an ``Answer`` for each of standard output."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test import Client

    from diagnosis.models import Site, Study, User
    from diagnosis.services.accounts import membership_set, system_user

    settings.ALLOWED_HOSTS = ["testserver"]
    site = Site.objects.get(name=SITE)
    user, _ = User.objects.get_or_create(
        username="bench", defaults={"first_name": "Bea", "last_name": "Bench"}
    )
    membership_set(actor=system_user(), user=user, site=site, role="radiologist")
    studies = Study.objects.filter(site=site).select_related("patient")
    oldest, newest = studies.order_by("created_at").first(), studies.order_by("-created_at").first()
    assert oldest is not None and newest is not None  # noqa: S101, PT018
    between = oldest.created_at + (newest.created_at - oldest.created_at) / 2
    middle = studies.filter(created_at__gte=between).order_by("created_at").first()
    assert middle is not None  # noqa: S101
    known = {
        "middle": str(middle.pk),
        "place": f"{middle.priority_rank}~{middle.created_at.isoformat()}~{middle.pk}",
        "study": str(newest.pk),
        "mrn": middle.patient.mrn,
        "accession": middle.accession_number,
        "uid": middle.study_instance_uid,
        "name": middle.patient.name_key,
    }
    client = Client(raise_request_exception=True)
    client.force_login(user)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        _, method, path, values = PAGES[json.loads(line)]
        filled = {name: value.format(**known) for name, value in values.items()}
        if method == "get":
            session = client.session
            session["worklist_query"] = ""
            session.save()
        count = 0

        def counting(execute: Any, *arguments: Any) -> Any:
            nonlocal count
            count += 1
            return execute(*arguments)

        with connection.execute_wrapper(counting):
            start = time.perf_counter()
            response = getattr(client, method)(path.format(**known), filled, headers={"HX-Request": "true"})
            elapsed = time.perf_counter() - start
        assert response.status_code == 200, f"{path} answered {response.status_code}"  # noqa: S101
        print(json.dumps([1000 * elapsed, count, len(gzip.compress(response.content))]), flush=True)


class Portal:
    """A process that serves pages of one database."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.worklist", "--serve"]
        self._process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The process that serves the pages has ended; its reason stands above.")
        return json.loads(line)

    def ask(self, page: str) -> Answer:
        assert self._process.stdin is not None  # noqa: S101
        print(json.dumps(page), file=self._process.stdin, flush=True)
        return Answer(*self._answer())

    def close(self) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()
        self._process.wait(timeout=60)


@contextlib.contextmanager
def portals(counts: list[int], databases: list[str]) -> Iterator[list[Portal]]:
    """One portal for each count, with so many studies; of ``databases`` where they are filled already."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cxr-bench-")))
        server = "" if databases else stack.enter_context(postgres_server())
        made = []
        for number, count in enumerate(counts):
            url = (
                databases[number]
                if databases
                else stack.enter_context(postgres_database(server, f"n{count}"))
            )
            environment = clean_environment(
                CXR_VAR_DIR=str(folder / str(count)),
                DATABASE_URL=url,
                LOG_LEVEL="ERROR",
                DJANGO_SETTINGS_MODULE="cxr_portal.settings",
                PYTHONPATH=str(ROOT),
            )
            manage(environment, "migrate", "--verbosity", "0")
            if not databases:
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, ROOT / "manage.py", "generate_studies", str(count), "--site", SITE],
                    env=environment,
                    cwd=ROOT,
                    check=True,
                )
                print(f"{count} studies made in {time.perf_counter() - start:.0f} s", file=sys.stderr)
            manage(environment, "collectstatic", "--no-input", "--verbosity", "0")
            portal = Portal(environment)
            stack.callback(portal.close)
            made.append(portal)
        yield made


def compare(counts: list[int], rounds: int, databases: list[str]) -> dict[str, Any]:
    with portals(counts, databases) as both:
        for portal in both:
            for page in PAGES:
                portal.ask(page)
        pages = {}
        for page, (kind, *_) in PAGES.items():
            small, large = ([] for _ in both)
            for _ in range(rounds):
                small.append(both[0].ask(page))
                large.append(both[1].ask(page))
            times = [
                statistics.median(answer.milliseconds for answer in answers) for answers in (small, large)
            ]
            pages[page] = {
                "kind": kind,
                "milliseconds": times,
                "ratio": times[1] / times[0],
                # Once a minute the session is written too.
                "queries": [
                    statistics.mode(answer.queries for answer in answers) for answers in (small, large)
                ],
                "gzip_bytes": max(answer.gzip_bytes for answer in (*small, *large)),
            }
        return {
            "studies": counts,
            "rounds": rounds,
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
            "pages": pages,
        }


def table(result: dict[str, Any]) -> str:
    small, large = result["studies"]
    lines = [
        f"{result['cpus']} CPUs, load {result['load']:.1f}, median of {result['rounds']}",
        f"{'':36}{small:>10,} {large:>13,}{'ratio':>8}{'queries':>10}{'gzip':>10}",
    ]
    for page, figures in result["pages"].items():
        times, queries, kind = figures["milliseconds"], figures["queries"], figures["kind"]
        met = (
            figures["ratio"] <= GOAL_RATIO
            and queries[0] == queries[1]
            and queries[1] <= MOST_QUERIES.get(kind, sys.maxsize)
            and figures["gzip_bytes"] <= MOST_BYTES.get(kind, sys.maxsize)
        )
        asked = str(queries[0]) if queries[0] == queries[1] else f"{queries[0]}/{queries[1]}"
        lines.append(
            f"{page:36}{times[0]:>7.1f} ms {times[1]:>10.1f} ms{figures['ratio']:>8.2f}{asked:>10}"
            f"{figures['gzip_bytes']:>10}  {'reached' if met else 'missed'}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--databases", nargs=2, default=[], help="Addresses of two databases that are filled already."
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    result = compare(arguments.studies, arguments.rounds, arguments.databases)
    print(json.dumps(result, indent=2) if arguments.json else table(result))


if __name__ == "__main__":
    main()
