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
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
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
        body = b"".join(
            [b"--part\r\nContent-Type: application/dicom\r\n\r\n", path.read_bytes(), b"\r\n--part--\r\n"]
        )
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


def latency(place: Place, environment: dict[str, str], paths: list[Path], folder: Path) -> list[float]:
    """Seconds from the last byte of each of ``paths``, sent by STOW-RS, to its finished prediction."""
    log = folder / "worker.log"
    celery = [sys.executable, "-m", "celery", "--app", "cxr_portal", "worker", "--loglevel", "INFO"]
    finished = "status in ('done', 'refused', 'failed')"
    times = []
    with running(
        [*celery, "--concurrency", "1"],
        log=log,
        ready=log.exists,
        env={**environment, "LOG_LEVEL": "INFO"},  # Its line that it is ready.
        cwd=ROOT,
    ):
        until(lambda: "ready." in log.read_text(), "the worker", 600)
        until(lambda: not count_of(environment, "diagnosis_prediction", f"NOT {finished}"), "idle", 3600)
        for path in paths:
            before = count_of(environment, "diagnosis_prediction", finished)
            body = path.read_bytes()
            began = time.perf_counter()
            by_stow(place, [path])
            del body
            until(
                lambda before=before: count_of(environment, "diagnosis_prediction", finished) > before,
                "a prediction",
                300,
            )
            times.append(time.perf_counter() - began)
    return times


BARE = """
import json, sys, time
from pathlib import Path
from diagnosis import inference
content = Path(sys.argv[1]).read_bytes()
inference.analyse(content)
times = []
for path in sys.argv[1:]:
    content = Path(path).read_bytes()
    began = time.perf_counter()
    try:
        inference.analyse(content)
    except Exception as error:
        pass
    times.append(time.perf_counter() - began)
print("TIMES", json.dumps(times))
"""


def bare(environment: dict[str, str], paths: list[Path]) -> list[float]:
    """Seconds to decode each file and run gate and network on it, in a process that does nothing else."""
    script = f"import sys; sys.argv[1:] = {[str(path) for path in paths]!r}\n{BARE}"
    said = manage(environment, "shell", "--verbosity", "0", "-c", script)
    return json.loads(next(line[6:] for line in said.splitlines() if line.startswith("TIMES")))


def compare(count: int, batch: int, latencies: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="cxr-bench-"))
    try:
        paths = draw(folder, count + latencies + len(ROADS))
        with portal(folder / "portal") as (ours, environment), start_orthanc() as orthanc:
            theirs = Place(
                "Orthanc", AE_TITLE, orthanc.dicom_port, f"{orthanc.dicomweb_url}/studies", requests.Session()
            )
            for warm_up, send in zip(paths[count + latencies :], ROADS.values(), strict=True):
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
                timed = paths[count : count + latencies]
                waited = latency(ours, environment, timed, folder)
                result["latency_s"] = {
                    "portal": statistics.median(waited),
                    "bare": statistics.median(bare(environment, timed)),
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
