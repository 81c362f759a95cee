"""The card of a finished folder: written anew whole, page and pictures with it, or not touched at all."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ml.cli import main
from ml.evaluation import card as cards
from ml.evaluation.parity import RuntimesDifferError, runtime_parity
from ml.evaluation.readme import model_card_text
from ml.serving import load_model
from ml.training.export import fold_temperature, logits_of
from tests.ml.conftest import Trained, drawing

MEASURED = ("metrics", "calibration", "operating_points", "conformal", "runtime_parity")
UNTOUCHED = ("--keep", "bias", "--keep", "explanation")


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / trained.folder.name))


def card_of(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


HOLD_OUT = {
    "protocol": {"left_out": ["darkcovidnet"], "control": "none"},
    "auroc": {
        "inside": {
            "covid19/a against normal/a": {"value": 0.99, "interval_95": [0.98, 1.0], "images": [90, 80]}
        },
        "left_out": {
            "covid19/b against normal/b": {"value": 0.71, "interval_95": [0.65, 0.77], "images": [40, 50]}
        },
    },
}


def test_a_card_written_anew_holds_the_same_figures_and_what_was_measured_elsewhere(
    folder: Path, trained: Trained, tmp_path: Path
) -> None:
    before = card_of(folder)
    run = tmp_path / "run.json"
    run.write_text(json.dumps(HOLD_OUT), encoding="utf-8")
    arguments = ["card", folder, "--data", trained.data, "--hold-out", run, *UNTOUCHED]
    assert main([str(argument) for argument in arguments]) == 0
    after = load_model(folder).card
    for block in (*MEASURED, "data", "training", "created"):
        assert after[block] == before[block]
    assert after["hold_out"] == [HOLD_OUT]
    assert "| darkcovidnet | none | left out | covid19/b against normal/b | 0.710" in (
        folder / "README.md"
    ).read_text(encoding="utf-8")
    assert not list(folder.parent.glob(".*"))


def test_a_folder_that_cannot_be_measured_stays_as_it_was(
    folder: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert main(["card", str(folder), "--data", str(tmp_path), *UNTOUCHED]) == 2
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]", encoding="utf-8")
    command = ["card", str(folder), "--data", str(trained.data), "--hold-out", str(wrong), *UNTOUCHED]
    assert main(command) == 2
    assert "hold-out` prints" in capsys.readouterr().err
    assert contents(folder) == before
    assert not list(folder.parent.glob(".*"))


def test_a_fault_while_drawing_leaves_the_folder_as_it_was(
    folder: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)

    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(cards, "_draw", broken)
    with pytest.raises(OSError, match="no space"):
        cards.rewrite(folder, trained.data, more={}, hold_out=[])
    assert contents(folder) == before
    assert not list(folder.parent.glob(".*"))


def test_further_blocks_are_measured_on_the_folder_as_it_is(folder: Path, trained: Trained) -> None:
    asked = []

    def extra(model: object, place: Path, data: Path) -> dict:
        asked.append((model.sha256, place, data))  # type: ignore[attr-defined]
        return {"found": 3}

    name = load_model(folder).sha256
    card = cards.rewrite(folder, trained.data, more={"extra": extra}, hold_out=[])
    assert asked == [(name, folder, trained.data)]
    assert card["extra"] == card_of(folder)["extra"] == {"found": 3}
    assert load_model(folder).sha256 != name


def test_the_page_shows_every_picture_of_the_folder_and_every_limit(trained: Trained) -> None:
    page = (trained.folder / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\((plots/[^)]+)\)", page))
    assert shown == {f"plots/{path.name}" for path in (trained.folder / "plots").iterdir()}
    card = card_of(trained.folder)
    assert all(limit in page for limit in card["limits"])
    assert page == model_card_text(card)
    for heading in (
        "Summary",
        "Mechanism",
        "Validation and performance",
        "Uses and non-uses",
        "Warnings and limits",
    ):
        assert f"\n## {heading}\n" in page


def share_of(value: float) -> dict:
    return {"value": value, "interval_95": [value - 0.01, value + 0.01], "correct": 1, "total": 2}


BIAS = {
    "subsample": {"images": 40, "most_per_stratum": 120},
    "shown": {
        part: {"accuracy": share_of(0.9), "auroc": {"all": share_of(0.8)}}
        for part in ("all", "borders", "only_lungs", "no_lungs")
    },
    "covered": {"letters": {"answers_changed": share_of(0.02)}},
    "drawn": {"black_border": {"answers_changed": share_of(0.03)}},
    "source_predicted": {
        "normal": {
            "features": None,
            "simple_statistics": {"balanced_accuracy": 0.77, "interval_95": [0.7, 0.85], "chance": 0.5},
        }
    },
    "auroc_by_source": {"all": share_of(0.8)},
    "evidence_inside_lungs": {
        "normal": {"mean": 0.37, "lungs_share_of_area": 0.36},
        "covid19": {"mean": None, "lungs_share_of_area": None},
    },
}
EXPLANATION = {
    "served": "cam",
    "cases": {"images": 60, "seen_in_training": []},
    "maps": {
        "cam": {
            "all": {
                "pointing": share_of(0.8),
                "mass_in_lesions": share_of(0.5),
                "mass_in_lungs": share_of(0.9),
            }
        }
    },
    "controls": {"random weights": {"all": {"pointing": {"value": 0.1, "by_seed": [0.1]}}}},
}


def test_the_page_shows_bias_and_maps_once_they_are_measured(trained: Trained) -> None:
    card = card_of(trained.folder)
    assert model_card_text(card).count("Not measured yet") == 2
    page = model_card_text({**card, "bias": BIAS, "explanation": EXPLANATION})
    assert "Not measured yet" not in page
    for line in (
        "| the borders only, the middle filled | 90.0 % (89.0 to 91.0) | 0.800 (0.790 to 0.810) |",
        "| drawn black border | 3.0 % (2.0 to 4.0) |",
        "| Normal | simple statistics | 77.0 % (70.0 to 85.0) | 50.0 % |",
        "| Normal | 37.0 % | 36.0 % |",
        "| **cam** (served) | 80.0 % (79.0 to 81.0) | 50.0 % (49.0 to 51.0) | 90.0 % (89.0 to 91.0) |",
        "| control: random weights | 10.0 % | not measured | not measured |",
    ):
        assert line in page


def test_the_card_says_what_was_chosen_where_and_the_served_model_applies_it(trained: Trained) -> None:
    model = load_model(trained.folder)
    card = model.card
    assert card["format"] == 2
    assert card["operating_point"] == {"rule": "argmax"}
    assert {point["chosen_on"] for point in card["operating_points"]} == {"validation"}
    assert card["calibration"]["fitted_on"] == card["conformal"]["calibrated_on"] == "validation"
    # Five validation images of a class are too few to rule anything out at 95 %.
    assert set(card["conformal"]["thresholds"].values()) == {0.0}
    output = model.predict(drawing(1) / np.float32(255))
    assert output.possible_labels == model.labels
    assert output.unsure
    assert output.features.shape == (8,)
    assert output.novelty is not None
    assert output.novelty > 0


def test_the_temperature_is_folded_into_scores_and_maps_alike(trained: Trained) -> None:
    from ml.training.network import build_network

    network = build_network(size=16, n_classes=3, stem=4, widths=[6], blocks=[1], dropout=0.0)
    square = np.random.default_rng(1).integers(0, 255, (1, 16, 16), dtype=np.uint8)
    before, maps = logits_of(network, square), np.asarray(network(square[..., None] / 255)["maps"])
    fold_temperature(network, 2.5)
    np.testing.assert_allclose(logits_of(network, square), before / 2.5, atol=1e-6)
    after = network(square[..., None] / 255)
    np.testing.assert_allclose(after["maps"], maps / 2.5, atol=1e-6)
    expected = np.exp(before / 2.5) / np.exp(before / 2.5).sum()
    np.testing.assert_allclose(after["scores"], expected, atol=1e-6)


def test_runtimes_that_differ_in_any_output_are_found(trained: Trained) -> None:
    import dataclasses

    model = load_model(trained.folder)
    image = drawing(1) / np.float32(255)
    assert max(runtime_parity(model, model, [image])["largest_difference"].values()) == 0
    for place in range(3):

        def off(network_input: np.ndarray, place: int = place) -> tuple[np.ndarray, ...]:
            outputs = list(model.run(network_input))
            outputs[place] = outputs[place] + np.float32(1e-2)
            return tuple(outputs)

        with pytest.raises(RuntimesDifferError):
            runtime_parity(model, dataclasses.replace(model, run=off), [image])


def test_parity_can_be_measured_again(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    arguments = ["evaluate", trained.folder, "--data", trained.data, "--json", "--parity", "2"]
    assert main([str(argument) for argument in arguments]) == 0
    parity = json.loads(capsys.readouterr().out)["runtime_parity"]
    assert parity["images"] == 2
    assert set(parity["largest_difference"]) == {"scores", "maps", "features"}


def test_a_folder_of_the_earlier_format_is_not_measured_with_thresholds_it_lacks(
    folder: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "card.json").write_text(json.dumps({**card_of(folder), "format": 1}), encoding="utf-8")
    for command in ("evaluate", "card"):
        assert main([command, str(folder), "--data", str(trained.data)]) == 2
        assert "earlier version" in capsys.readouterr().err
