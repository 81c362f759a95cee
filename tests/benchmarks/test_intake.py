"""The report on the speed of the intake: what it sends, and when it says that a goal is reached."""

import math

import pydicom

from benchmarks.intake import Clocked, draw, table


def result(**rates):
    return {
        "files": 200,
        "rows": 3000,
        "columns": 2500,
        "cpus": 2,
        "load": 0.5,
        "files_per_second": {
            road: {"portal": portal, "Orthanc": orthanc}
            for road, (portal, orthanc) in {"C-STORE": (1, 1), "STOW-RS": (1, 1), **rates}.items()
        },
    }


def line_of(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_each_road_is_beside_orthanc_and_its_goal():
    shown = table(result(**{"C-STORE": (8.0, 10.0), "STOW-RS": (9.0, 10.0)}))
    assert line_of(shown, "C-STORE").split() == ["C-STORE", "8.00/s", "10.00/s", "0.80", "0.8", "reached"]
    assert line_of(shown, "STOW-RS").split() == ["STOW-RS", "9.00/s", "10.00/s", "0.90", "1.0", "below"]


def test_the_way_to_the_prediction_is_beside_the_bare_work():
    shown = table({**result(), "latency_s": {"portal": 1.9, "bare": 1.0}})
    assert "ratio 1.90, goal 2.0  reached" in line_of(shown, "last byte")
    shown = table({**result(), "latency_s": {"portal": 2.1, "bare": 1.0}})
    assert line_of(shown, "last byte").endswith("above")


def test_every_file_of_the_run_is_another_one_and_whole(tmp_path):
    paths = draw(tmp_path, 4, rows=70, columns=64)
    datasets = [pydicom.dcmread(path) for path in paths]
    assert len({ds.SOPInstanceUID for ds in datasets}) == 4
    assert len({ds.PixelData for ds in datasets}) == 4
    assert {ds.StudyInstanceUID for ds in datasets} == {"2.25.1000", "2.25.1001"}
    assert all(ds.pixel_array.shape == (70, 64) for ds in datasets)


def test_the_clock_of_a_body_starts_with_its_last_byte():
    body = Clocked(b"0123456789")
    assert len(body) == 10
    body.read(9)
    assert math.isinf(body.last_byte_at)
    body.read(9)
    first = body.last_byte_at
    assert not math.isinf(first)
    assert body.read(9) == b""
    assert body.last_byte_at == first
