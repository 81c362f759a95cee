"""How soon the first image is painted: ``python -m benchmarks.viewer``.

A study of one chest-sized film (3000 x 2500, 12 bits) is opened in Chromium, and beside it the same bytes are taken by a bare
``fetch`` and decoded by the same codec in a worker, on a page of the same portal that does nothing else. The two take turns; the
medians are compared. Painted means that the whole image is on the screen through its window, all of its bits decoded; the tools
come with Cornerstone, which paints the same picture again. Scripts come from the browser's
cache as on every visit but the first; the first visit of a browser is told beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from benchmarks.intake import by_stow, portal
from ml.phantom import phantom_dicom
from tests.harness.browser import start_chromium
from tests.harness.portal import ROOT, clean_environment, manage

GOAL = 1.5
SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless)

SETUP = """
from django.test import Client
from diagnosis.models import Site, Study, User
from diagnosis.services.accounts import membership_set, system_user
site = Site.objects.get(name="Benchmark")
reader, _ = User.objects.get_or_create(username="reader")
membership_set(actor=system_user(), user=reader, site=site, role="radiologist")
client = Client()
client.force_login(reader)
print("SESSION", client.cookies["cxr_sid"].value)
for study in Study.objects.all():
    print("STUDY", study.study_instance_uid, study.pk)
"""

#: The same bytes, by the same codec, without a viewer.
PLAIN = """async ({ entry, viewing, worker }) => {
    const began = performance.now();
    const decoder = new Worker(worker, { type: "module" });
    decoder.postMessage({ prepare: entry.transferSyntax });
    const response = await fetch(entry.frame, { headers: { Accept: entry.mediaType } });
    const bytes = await response.arrayBuffer();
    const size = bytes.byteLength;
    const fetched = performance.now();
    await new Promise((resolve, reject) => {
        decoder.onmessage = ({ data }) => (data.error ? reject(data.error) : resolve());
        decoder.postMessage({ id: 1, bytes, transferSyntax: entry.transferSyntax, viewing }, [bytes]);
    });
    const ended = performance.now();
    decoder.terminate();
    return { ms: ended - began, fetch: fetched - began, megabytes: size / 1e6 };
}"""

MARKS = """() => Object.fromEntries(
    performance.getEntriesByType("mark").map(({ name, startTime }) => [name.replace("viewer:", ""), startTime])
)"""


def opened(page: Page, url: str) -> dict[str, float]:
    page.goto(url)
    page.locator('[data-pane="current"][data-state="painted"]').wait_for(timeout=120_000)
    marks: dict[str, float] = page.evaluate(MARKS)
    return {
        "ms": marks["first"] - marks["begin"],
        "tools": marks["painted"] - marks["begin"],
        "from_click": marks["first"],
        "decoded": marks["decoded"] - marks["begin"],
    }


def logged_in(browser: Browser, url: str, session: str) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "cxr_sid", "value": session, "url": url}])
    return context


def measure(browser: Browser, url: str, session: str, study: str, rounds: int) -> dict[str, dict[str, float]]:
    """Medians in ms of what a bare fetch with its decoding takes, of the viewer, and of a browser's first visit."""
    address = f"{url}/studies/{study}/"
    worker = next((ROOT / "static" / "build" / "chunks").glob("decode.worker-*.js"))
    found: dict[str, list[dict[str, float]]] = {"plain": [], "viewer": [], "first visit": []}
    for _ in range(rounds):
        context = logged_in(browser, url, session)
        page = context.new_page()
        found["first visit"].append(opened(page, address))
        entry: dict[str, Any] = json.loads(page.locator("#viewer-images").text_content() or "")[0]
        viewing = page.request.get(f"{url}{entry['viewing']}").json()
        told = {"entry": entry, "viewing": viewing, "worker": f"/static/build/chunks/{worker.name}"}
        found["viewer"].append(opened(page, address))
        page.goto(f"{url}/models/")
        page.evaluate(PLAIN, told)  # Its first run fills the cache, as the viewer's did.
        found["plain"].append(page.evaluate(PLAIN, told))
        context.close()
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        # Before the server starts: it looks once for what there is.
        manage(clean_environment(CXR_VAR_DIR=name), "collectstatic", "--no-input", "--verbosity", "0")
        place, environment = stack.enter_context(portal(Path(name)))
        paths = []
        for number, syntax in enumerate(SYNTAXES):
            path = Path(name) / f"{number}.dcm"
            path.write_bytes(
                phantom_dicom(
                    number,
                    rows=3000,
                    columns=2500,
                    transfer_syntax=syntax,
                    patient_id=f"VIEW-{number}",
                    study_instance_uid=f"2.25.77{number}",
                )
            )
            paths.append(path)
        by_stow(place, paths)
        said = manage(environment, "shell", "--verbosity", "0", "-c", SETUP).splitlines()
        session = next(line.split()[1] for line in said if line.startswith("SESSION"))
        studies = dict(line.split()[1:] for line in said if line.startswith("STUDY"))
        url = place.stow_url.partition("/dicom-web")[0]
        with start_chromium() as browser:
            for number, syntax in enumerate(SYNTAXES):
                runs = measure(browser, url, session, studies[f"2.25.77{number}"], arguments.rounds)
                ratio = runs["viewer"]["ms"] / runs["plain"]["ms"]
                print(
                    f"{syntax.name}, {runs['plain']['megabytes']:.1f} MB: fetch and decode {runs['plain']['ms']:.0f} ms, painted "
                    f"{runs['viewer']['ms']:.0f} ms ({ratio:.2f} x, goal {GOAL} x), with tools "
                    f"{runs['viewer']['tools']:.0f} ms; from the click "
                    f"{runs['viewer']['from_click']:.0f} ms; first visit of a browser {runs['first visit']['ms']:.0f} ms"
                )


if __name__ == "__main__":
    main()
