"""What the report on the goals reads is what the commands print."""

import json

import pytest

from benchmarks.model import lines_of
from ml.cli import main
from tests.ml.conftest import Trained


def test_the_report_reads_what_evaluate_prints(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained.folder), "--data", str(trained.data), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    lines = lines_of({"evaluate": figures})
    accuracy, sensitivity, error = lines[:3]
    assert accuracy.value == figures["metrics"]["test"]["accuracy"]["value"]
    assert sensitivity.value is not None
    assert "At the threshold chosen on validation" in sensitivity.note
    assert error.value == figures["calibration"]["test"]["after"]["expected_calibration_error"]
    assert all(line.met is not None for line in lines[:3])
