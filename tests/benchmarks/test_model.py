"""The report on the goals: what it reads, when it says that a goal is reached, and the commands it names."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import model
from benchmarks.model import MEASURED, TRAINED, Line, lines_of, shown, table
from ml.cli import _parser

REPOSITORY = Path(__file__).resolve().parents[2]


def share(value: float, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    return {"value": value, "interval_95": [low, high], "correct": 1, "total": 2}


def folds(mean: float) -> dict[str, Any]:
    part = {
        "mean_accuracy": mean,
        "pooled": {"accuracy": share(mean, 0.8, 0.95)},
        "seen_in_training": {"images_with_a_group_in_another_fold": 400},
    }
    return {"published": part, "grouped": {**part, "mean_accuracy": 0.5}}


def found() -> dict[str, Any]:
    """What the commands print, cut down to what the report reads; every goal just reached."""
    error = {"before": {"expected_calibration_error": 0.05}, "after": {"expected_calibration_error": 0.02}}
    point = {
        "label": "covid19",
        "aim": "specificity",
        "test": {"sensitivity": share(0.96), "specificity": share(0.985)},
    }
    covid = {"read_off_at_98_specificity": {"sensitivity": share(0.97), "specificity": share(0.98)}}
    return {
        "evaluate": {
            "metrics": {
                "test": {"accuracy": share(0.97, 0.96, 0.98), "classes": {"covid19": covid, "normal": {}}}
            },
            "operating_points": [point],
            "calibration": {"test": error},
        },
        "maps": {
            "explanation": {
                "served": "cam",
                "maps": {"cam": {"all": {"pointing": share(0.75)}}},
                "controls": {
                    "centre of the image": {"all": {"pointing": share(0.2)}},
                    "random weights": {"all": {"pointing": {"value": 0.3, "by_seed": [0.3]}}},
                },
            }
        },
        "gate": {
            "other_than_frontal": {"refused": share(0.99)},
            "frontal": {"all": {"refused": share(0.02)}},
        },
        "serving": {
            "onnx": {"images_per_s": 200.0, "peak_mb": 200.0, "ready_s": 1.0},
            "keras": {"images_per_s": 20.0, "peak_mb": 1000.0, "ready_s": 4.0},
        },
        "hold-out-darkcovidnet": {
            "auroc": {
                "left_out": {
                    "covid19/darkcovidnet against normal/darkcovidnet": {**share(0.9), "images": [100, 400]},
                    "covid19/darkcovidnet against pneumonia/darkcovidnet": {
                        **share(0.2),
                        "images": [100, 400],
                    },
                }
            }
        },
        "hold-out-covid_chestxray": {"auroc": {"left_out": {}}},
        "darkcovidnet-from-scratch": folds(0.88),
        "darkcovidnet-pretrained": folds(0.92),
    }


def line_of(lines: list[Line], part: str) -> Line:
    matching = [line for line in lines if part in line.figure]
    assert len(matching) == 1, f"{part} is in {len(matching)} lines"
    return matching[0]


def test_a_figure_at_its_goal_is_reached() -> None:
    lines = lines_of(found())
    assert {line.figure: line.met for line in lines if line.value is not None and not line.met} == {}
    assert sum(line.met is True for line in lines) == 12
    assert line_of(lines, "accuracy").interval_95 == [0.96, 0.98]


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        (("evaluate", "metrics", "test", "accuracy", "value"), 0.9699, "accuracy"),
        (
            ("evaluate", "calibration", "test", "after", "expected_calibration_error"),
            0.0201,
            "calibration error",
        ),
        (
            ("maps", "explanation", "controls", "random weights", "all", "pointing", "value"),
            0.75,
            "pointing game",
        ),
        (("gate", "frontal", "all", "refused", "value"), 0.0201, "refused wrongly"),
        (("gate", "other_than_frontal", "refused", "value"), 0.9899, "no upright frontal"),
        (("serving", "onnx", "peak_mb"), 200.5, "peak memory"),
        (("serving", "onnx", "images_per_s"), 199.9, "a second"),
        (("darkcovidnet-pretrained", "published", "mean_accuracy"), 0.9199, "pre-trained"),
        (("darkcovidnet-from-scratch", "published", "mean_accuracy"), 0.8799, "from scratch"),
    ],
)
def test_a_figure_on_the_wrong_side_of_its_goal_is_below(
    path: tuple[str, ...], value: float, part: str
) -> None:
    figures = found()
    place: Any = figures
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    lines = lines_of(figures)
    assert line_of(lines, part).met is False
    assert sum(line.met is False for line in lines) == 1
    assert "below" in table(lines, "covid3-1.1.0")


def test_what_was_not_measured_is_said_and_is_no_goal_reached() -> None:
    lines = lines_of({})
    assert {line.met for line in lines} == {None}
    assert all(line.command.startswith("python -m ") for line in lines)
    assert table(lines, "x").count("not measured") == len(lines)


def test_each_pair_of_a_source_left_out_has_its_line_and_other_diseases_have_none() -> None:
    lines = lines_of(found())
    assert line_of(lines, "covid19/darkcovidnet against normal/darkcovidnet").note == "100 and 400 images."
    assert not [line for line in lines if "pneumonia/" in line.figure]
    assert "ten images" in line_of(lines, "covid_chestxray left out").note


def test_the_honest_threshold_and_the_leak_stand_beside_the_figures() -> None:
    text = table(lines_of(found()), "covid3-1.1.0")
    assert "chosen on validation: sensitivity 96.0%, specificity 98.5%" in text
    assert "400 images have a twin or their patient in another fold" in text
    assert "With whole groups on one side: 50.0%" in text


@pytest.mark.parametrize("name", [*MEASURED, *TRAINED])
def test_every_command_that_the_report_names_exists_with_its_configuration(name: str) -> None:
    command = (MEASURED | TRAINED)[name]
    options = _parser().parse_args(list(command))
    assert callable(options.command)
    if "--config" in command:
        assert (REPOSITORY / command[command.index("--config") + 1]).is_file()
    assert shown(command).startswith(f"python -m ml {command[0]}")


def test_a_pre_trained_run_starts_from_a_run_that_comes_before_it() -> None:
    names = list(TRAINED)
    command = TRAINED["darkcovidnet-pretrained"]
    before = command[command.index("--start-from") + 1].split("/")[-1]
    assert names.index(before) < names.index("darkcovidnet-pretrained")
    start = TRAINED[before]
    assert start[start.index("--leave-out") + 1] == "darkcovidnet"


def test_the_stored_figures_are_those_of_named_trainings_and_can_be_read() -> None:
    files = sorted(path.stem for path in model.FIGURES.glob("*.json"))
    assert set(files) <= set(TRAINED)
    assert sorted(model.stored()) == files
    lines_of(model.stored())


def test_a_command_that_fails_is_named_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MEASURED", {"data": ("data",), "help": ("no-such-command",)})
    monkeypatch.setattr("benchmarks.serving.compare", lambda folder: found()["serving"])
    figures, failed = model.measured({"MODEL": "nowhere"})
    assert list(figures) == ["serving"]
    assert failed == ["python -m ml data", "python -m ml no-such-command"]


def test_a_training_replaces_its_figures_only_when_it_has_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "darkcovidnet-from-scratch"
    (tmp_path / f"{name}.json").write_text(json.dumps(folds(0.5)))
    monkeypatch.setattr(model, "FIGURES", tmp_path)
    monkeypatch.setattr(model, "TRAINED", {name: ("cross-validate", "--nonsense")})
    assert model.train({}) == ["python -m ml cross-validate --nonsense"]
    assert model.stored()[name]["published"]["mean_accuracy"] == 0.5
    monkeypatch.setattr(model, "run", lambda command, words: folds(0.89))
    assert model.train({}) == []
    assert model.stored()[name]["published"]["mean_accuracy"] == 0.89
