"""Files stored in a second by C-STORE and by STOW-RS, beside Orthanc on the same machine: ``python -m benchmarks.intake``.

Chest-sized files (3000 x 2500, 16 bit) go to both in turns, a batch to the one and then to the other, so that whatever else the
machine does meets both alike. The same client sends: DCMTK's ``storescu``, a batch over one association, and for STOW-RS one
object a request over a kept connection. Orthanc runs with its default storage, the portal in its embedded mode with one web
process; no analysis runs meanwhile. Then, with a worker, the time from the last byte of a file to its prediction in the record.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import math
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import requests

from ml.phantom import phantom_dicom
from tests.harness.orthanc import AE_TITLE, start_orthanc
from tests.harness.portal import ROOT, clean_environment, manage, until
from tests.harness.processes import accepts, free_port, running

ROWS, COLUMNS = 3000, 2500
PICTURES = 2
"""Drawn once each; every file of the run has UIDs and noise of its own."""
GOALS = {"STOW-RS": 1.0, "C-STORE": 0.8}
CALLING, CALLED = "BENCH", "CXRPORTAL"

SETUP = """
from diagnosis.models import Membership, PacsPeer, Site, User
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.tokens import token_issue
site = Site.objects.create(name="Benchmark")
account = User.objects.create(username="bench")
membership_set(actor=system_user(), user=account, site=site, role="doctor")
PacsPeer.objects.create(
    site=site, name="Bench", account=account, ae_title="BENCH", may_send=True, networks="127.0.0.1"
)
print("TOKEN", token_issue(user=account).secret)
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where files are sent to. Times in seconds are added up by road."""

    name: str
    ae_title: str
    dicom_port: int
    stow_url: str
    session: requests.Session
    seconds: dict[str, float] = dataclasses.field(default_factory=lambda: {"C-STORE": 0.0, "STOW-RS": 0.0})


def draw(folder: Path, count: int, rows: int = ROWS, columns: int = COLUMNS) -> list[Path]:
    """``count`` different files of one patient, in studies of two."""
    pictures = [
        pydicom.dcmread(io.BytesIO(phantom_dicom(seed, rows=rows, columns=columns, bits_stored=16)))
        for seed in range(PICTURES)
    ]
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        ds = pictures[number % PICTURES]
        ds.PatientID, ds.PatientName = f"BENCH-{number // 2:04d}", f"Bench^Number{number // 2}"
        ds.StudyInstanceUID = f"2.25.{1000 + number // 2}"
        ds.SeriesInstanceUID = f"{ds.StudyInstanceUID}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.StudyInstanceUID}.1.{number}"
        samples = np.frombuffer(ds.PixelData, "<u2").copy()
        samples[: 64 * columns] = random.integers(0, 2000, 64 * columns, dtype=np.uint16)
        ds.PixelData = samples.tobytes()
        paths.append(folder / f"{number:04d}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def by_c_store(place: Place, paths: list[Path]) -> None:
    command = ["storescu", "-aet", CALLING, "-aec", place.ae_title, "127.0.0.1", str(place.dicom_port)]
    subprocess.run([*command, *map(str, paths)], check=True, capture_output=True)


def by_stow(place: Place, paths: list[Path]) -> None:
    for path in paths:
        post(place, body_of(path))


def body_of(path: Path) -> bytes:
    return b"".join(
        [b"--part\r\nContent-Type: application/dicom\r\n\r\n", path.read_bytes(), b"\r\n--part--\r\n"]
    )


def post(place: Place, body: bytes | Clocked) -> None:
    response = place.session.post(
        place.stow_url,
        data=body,
        headers={
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=part',
            "Accept": "application/dicom+json",
        },
        timeout=300,
    )
    if response.status_code != 200:
        raise SystemExit(f"{place.name} answered {response.status_code}: {response.text[:500]}")


class Clocked(io.BytesIO):
    """A body that notes when its last byte was taken to be sent."""

    last_byte_at = math.inf

    def __len__(self) -> int:
        return self.getbuffer().nbytes

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if self.tell() == len(self) and self.last_byte_at == math.inf:
            self.last_byte_at = time.perf_counter()
        return content


ROADS: dict[str, Callable[[Place, list[Path]], None]] = {"C-STORE": by_c_store, "STOW-RS": by_stow}


@contextlib.contextmanager
def portal(folder: Path) -> Iterator[tuple[Place, dict[str, str]]]:
    """The web server and the listener, as the embedded mode starts them, without a worker."""
    web_port, dicom_port = free_port(), free_port()
    environment = clean_environment(
        CXR_VAR_DIR=str(folder),
        CXR_DICOM_PORT=str(dicom_port),
        CXR_STUDY_QUIET_SECONDS="0",
        LOG_LEVEL="WARNING",
        PYTHONPATH=str(ROOT),
    )
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "register_model")
    said = manage(environment, "shell", "--verbosity", "0", "-c", SETUP)
    token = next(line.split()[1] for line in said.splitlines() if line.startswith("TOKEN"))
    session = requests.Session()
    session.headers["Authorization"] = f"Token {token}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py"]
    gunicorn += ["--bind", f"127.0.0.1:{web_port}", "--workers", "1", "cxr_portal.wsgi"]
    with (
        running(
            gunicorn,
            log=folder / "web.log",
            ready=lambda: accepts(web_port),
            env=environment,
            cwd=ROOT,
        ),
        running(
            [sys.executable, "manage.py", "dicom_listener"],
            log=folder / "listener.log",
            ready=lambda: accepts(dicom_port),
            env=environment,
            cwd=ROOT,
        ),
    ):
        yield (
            Place("portal", CALLED, dicom_port, f"http://127.0.0.1:{web_port}/dicom-web/studies", session),
            environment,
        )


def throughput(paths: list[Path], places: list[Place], batch: int) -> None:
    """Send the first half by C-STORE and the second by STOW-RS, in batches to each place in turn."""
    halves = {"C-STORE": paths[: len(paths) // 2], "STOW-RS": paths[len(paths) // 2 :]}
    for road, files in halves.items():
        for start in range(0, len(files), batch):
            for place in places:
                began = time.perf_counter()
                ROADS[road](place, files[start : start + batch])
                place.seconds[road] += time.perf_counter() - began


def count_of(environment: dict[str, str], table: str, where: str = "1") -> int:
    with contextlib.closing(
        sqlite3.connect(Path(environment["CXR_VAR_DIR"]) / "db.sqlite3", timeout=20)
    ) as database:
        return int(database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])  # noqa: S608


def latency(
    place: Place, environment: dict[str, str], paths: list[Path], folder: Path
) -> tuple[list[float], list[float]]:
    """Of each of ``paths`` the seconds from its last byte, sent by STOW-RS, to its finished prediction in the record; and those
    that a process which does nothing else takes for its bare work.
    """
    log = folder / "worker.log"
    celery = [sys.executable, "-m", "celery", "--app", "cxr_portal", "worker", "--loglevel", "INFO"]
    finished = "status in ('done', 'refused', 'failed')"
    waited, worked = [], []
    with (
        running(
            [*celery, "--concurrency", "1"],
            log=log,
            ready=log.exists,
            env={**environment, "LOG_LEVEL": "INFO"},  # Its line that it is ready.
            cwd=ROOT,
        ),
        bare(environment) as work,
    ):
        until(lambda: "ready." in log.read_text(), "the worker", 600)
        until(lambda: not count_of(environment, "diagnosis_prediction", f"NOT {finished}"), "idle", 3600)
        for path in paths:
            before = count_of(environment, "diagnosis_prediction", finished)
            body = Clocked(body_of(path))
            sending = threading.Thread(target=post, args=(place, body))
            sending.start()
            # Looked for in the record, as the page does: nobody waits for what the sender is answered.
            while count_of(environment, "diagnosis_prediction", finished) == before:
                time.sleep(0.003)
            waited.append(time.perf_counter() - body.last_byte_at)
            sending.join()
            until(lambda: _is_rendered(environment), "the pictures", 60)
            worked.append(work(path))
    refused = count_of(environment, "diagnosis_prediction", "status <> 'done'")
    if refused:
        raise SystemExit(f"{refused} files got no opinion: this is no measurement.")
    return waited, worked


def _is_rendered(environment: dict[str, str]) -> bool:
    """Whether the worker has nothing left to do: it makes the pictures behind the opinion."""
    folder = Path(environment["CXR_VAR_DIR"]) / "media"
    originals, thumbnails = (len(list((folder / name).glob("[!.]*"))) for name in ("originals", "thumbnails"))
    return originals == thumbnails


BARE = """
import time
from pathlib import Path
from cxr_portal.memory import keep_freed_memory
from diagnosis import inference
keep_freed_memory()
while True:
    content = Path(input()).read_bytes()
    began = time.perf_counter()
    inference.analyse(inference.read(content))
    print("TOOK", time.perf_counter() - began, flush=True)
"""


@contextlib.contextmanager
def bare(environment: dict[str, str]) -> Iterator[Callable[[Path], float]]:
    """Seconds to decode a file and run gate, network and map on it; a file that is refused ends it, for that is less work."""
    with subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", BARE],
        env=environment,
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        asked, said = process.stdin, process.stdout
        assert asked is not None  # noqa: S101
        assert said is not None  # noqa: S101

        def work(path: Path) -> float:
            print(path, file=asked, flush=True)
            return float(next(line for line in said if line.startswith("TOOK")).split()[1])

        try:
            yield work
        finally:
            process.kill()


def compare(count: int, batch: int, latencies: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="cxr-bench-"))
    try:
        paths = draw(folder, count + latencies + 1 + len(ROADS))
        with portal(folder / "portal") as (ours, environment), start_orthanc() as orthanc:
            theirs = Place(
                "Orthanc", AE_TITLE, orthanc.dicom_port, f"{orthanc.dicomweb_url}/studies", requests.Session()
            )
            for warm_up, send in zip(paths[count + latencies + 1 :], ROADS.values(), strict=True):
                for place in (theirs, ours):
                    send(place, [warm_up])
            throughput(paths[:count], [theirs, ours], batch)
            stored = count_of(environment, "diagnosis_image") - len(ROADS)
            if stored != count:
                raise SystemExit(f"The portal holds {stored} of {count} files: this is no measurement.")
            result: dict[str, object] = {
                "files": count,
                "rows": ROWS,
                "columns": COLUMNS,
                "cpus": os.cpu_count(),
                "load": os.getloadavg()[0],
                "files_per_second": {
                    road: {place.name: count / 2 / place.seconds[road] for place in (ours, theirs)}
                    for road in ROADS
                },
            }
            print(table(result), file=sys.stderr, flush=True)
        if latencies:
            # A portal of its own: nothing waits there for its analysis.
            with portal(folder / "other") as (ours, environment):
                timed = paths[count : count + latencies + 1]
                waited, worked = latency(ours, environment, timed, folder)
            # The first of both loads the network.
            result["latency_s"] = {
                "portal": statistics.median(waited[1:]),
                "bare": statistics.median(worked[1:]),
            }
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(result: dict[str, object]) -> str:
    rates = result["files_per_second"]
    assert isinstance(rates, dict)  # noqa: S101
    lines = [
        f"{result['files']} files of {result['rows']} x {result['columns']}, 16 bit; {result['cpus']} CPUs, load "
        f"{result['load']:.1f}",
        f"{'':10}{'portal':>12}{'Orthanc':>12}{'ratio':>8}{'goal':>8}",
    ]
    for road, rate in rates.items():
        ratio = rate["portal"] / rate["Orthanc"]
        verdict = "reached" if ratio >= GOALS[road] else "below"
        lines.append(
            f"{road:10}{rate['portal']:>10.2f}/s{rate['Orthanc']:>10.2f}/s{ratio:>8.2f}{GOALS[road]:>8.1f}  {verdict}"
        )
    waited = result.get("latency_s")
    if isinstance(waited, dict):
        ratio = waited["portal"] / waited["bare"]
        verdict = "reached" if ratio <= 2 else "above"
        lines.append(
            f"last byte to prediction {waited['portal']:.2f} s, bare decode and network {waited['bare']:.2f} s, ratio "
            f"{ratio:.2f}, goal 2.0  {verdict}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument(
        "--batch", type=int, default=10, help="Files sent to one place before it is the other's turn."
    )
    parser.add_argument(
        "--latencies", type=int, default=10, help="Files whose way to the prediction is timed; 0: none."
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = compare(arguments.files, arguments.batch, arguments.latencies)
    print(json.dumps(result, indent=2) if arguments.json else table(result))


if __name__ == "__main__":
    main()
