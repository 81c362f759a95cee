"""The committed model: whole, reproducible to the bit, the same in both runtimes, light to load."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.data.manifest import read_grey
from ml.data.split import TEST, load_split
from ml.serving import (
    ModelIntegrityError,
    ModelOutput,
    ModelOutputError,
    ServedModel,
    ShownMap,
    default_model_folder,
    heat_map,
    load_model,
)
from ml.serving.folder import SPLIT
from tests.ml.conftest import REPOSITORY, drawing

WORST_CASES = {
    "black": np.zeros((200, 200), np.float32),
    "white": np.ones((200, 200), np.float32),
    "one bright pixel": np.pad(np.ones((1, 1), np.float32), 100),
    "checkers": (np.indices((160, 160)).sum(axis=0) % 2).astype(np.float32),
    "noise": np.random.default_rng(1).random((160, 160), dtype=np.float32),
    "drawing": drawing(1).astype(np.float32) / 255,
}
FEATURES = np.ones((1, 5), np.float32)


@pytest.fixture
def copy(committed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(committed, tmp_path / committed.name))


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.keras", "preprocessing.json", "split.csv.gz", "plots/training.png"]
)
def test_a_model_with_one_changed_byte_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ModelIntegrityError, match=Path(name).name):
        load_model(copy)


def test_a_model_with_a_file_too_many_or_too_few_is_refused(copy: Path) -> None:
    (copy / "extra.txt").write_text("not in the card")
    with pytest.raises(ModelIntegrityError, match=r"extra\.txt"):
        load_model(copy)
    (copy / "extra.txt").unlink()
    (copy / "model.onnx").unlink()
    with pytest.raises(ModelIntegrityError, match=r"model\.onnx"):
        load_model(copy)


def test_a_damaged_card_is_refused_and_another_card_is_another_model(copy: Path, served: ServedModel) -> None:
    card = copy / "card.json"
    text = card.read_text(encoding="utf-8")
    card.write_text(text + "\n", encoding="utf-8")
    assert load_model(copy).sha256 != served.sha256
    card.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(ModelIntegrityError, match=r"card\.json"):
        load_model(copy)


def test_the_committed_folder_is_at_most_12_mb_and_says_what_it_is(
    committed: Path, served: ServedModel
) -> None:
    assert sum(path.stat().st_size for path in committed.rglob("*") if path.is_file()) <= 12_000_000
    assert committed.name == f"{served.name}-{served.version}"
    assert served.display_names == {
        "covid19": "COVID-19",
        "viral_pneumonia": "Viral Pneumonia",
        "normal": "Normal",
    }
    assert served.card["limits"]


def test_probabilities_sum_to_one_and_the_label_is_the_highest(served: ServedModel) -> None:
    for pixels in WORST_CASES.values():
        output = served.predict(pixels)
        assert sum(output.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert output.label == max(output.probabilities, key=output.probabilities.__getitem__)
        assert output.maps.shape[0] == len(served.labels)
        assert set(output.timings) == {"preprocessing_ms", "network_ms"}


def test_the_mean_of_a_map_is_what_made_the_score(served: ServedModel) -> None:
    output = served.predict(WORST_CASES["drawing"])
    logits = output.maps.mean(axis=(1, 2))
    scores = np.exp(logits - logits.max())
    np.testing.assert_allclose(scores / scores.sum(), list(output.probabilities.values()), atol=1e-5)


def test_the_same_image_gives_the_same_bits_whatever_the_threads(committed: Path) -> None:
    answers = set()
    for threads in (1, 2, 4):
        model = load_model(committed, threads=threads)
        for _ in range(5):
            outputs = [model.predict(pixels) for pixels in WORST_CASES.values()]
            answers.add(
                b"".join(
                    np.array(list(o.probabilities.values())).tobytes() + o.maps.tobytes() for o in outputs
                )
            )
    assert len(answers) == 1


def test_keras_and_the_export_give_the_same_scores_and_maps(committed: Path, served: ServedModel) -> None:
    keras = load_model(committed, "keras")
    assert keras.sha256 == served.sha256
    for name, pixels in WORST_CASES.items():
        one, other = served.predict(pixels), keras.predict(pixels)
        np.testing.assert_allclose(
            list(one.probabilities.values()), list(other.probabilities.values()), atol=1e-4, err_msg=name
        )
        scale = max(1.0, float(np.abs(other.maps).max()))
        np.testing.assert_allclose(one.maps / scale, other.maps / scale, atol=1e-4, err_msg=name)


def test_an_unknown_runtime_is_refused(committed: Path) -> None:
    with pytest.raises(ValueError, match="onnx, keras"):
        load_model(committed, "tflite")


def test_the_served_path_loads_no_training_library(committed: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy
from ml.serving import load_model, heat_map
model = load_model(Path(sys.argv[1]))
heat_map(model.predict(numpy.zeros((9, 9), numpy.float32)).maps, 0)
heavy = {"tensorflow", "keras", "pandas", "matplotlib", "sklearn", "scipy"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(committed)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "scores", [[0.2, float("nan"), 0.8], [0.2, 0.2, 0.2], [-0.5, 0.5, 1.0], [1.0, 0.0]],
    ids=["not a number", "sum not 1", "negative", "a class short"],
)  # fmt: skip
def test_an_answer_that_is_no_probability_is_never_returned(served: ServedModel, scores: list[float]) -> None:
    maps = np.zeros((1, 10, 10, 3), np.float32)
    broken = dataclasses.replace(served, run=lambda image: (np.array([scores], np.float32), maps, FEATURES))
    with pytest.raises(ModelOutputError):
        broken.predict(WORST_CASES["drawing"])


def test_maps_that_are_not_finite_are_never_returned(served: ServedModel) -> None:
    maps = np.full((1, 10, 10, 3), np.inf, np.float32)
    broken = dataclasses.replace(
        served, run=lambda image: (np.array([[1, 0, 0]], np.float32), maps, FEATURES)
    )
    with pytest.raises(ModelOutputError):
        broken.predict(WORST_CASES["drawing"])


def test_features_that_are_not_finite_are_never_returned(served: ServedModel) -> None:
    maps, features = np.zeros((1, 10, 10, 3), np.float32), np.full((1, 5), np.nan, np.float32)
    broken = dataclasses.replace(
        served, run=lambda image: (np.array([[1, 0, 0]], np.float32), maps, features)
    )
    with pytest.raises(ModelOutputError):
        broken.predict(WORST_CASES["drawing"])


def with_scores(served: ServedModel, scores: list[float], conformal: dict) -> ModelOutput:
    maps = np.zeros((1, 10, 10, 3), np.float32)
    card = {**served.card, "conformal": conformal}
    model = dataclasses.replace(
        served, card=card, novelty=None, run=lambda image: (np.array([scores], np.float32), maps, FEATURES)
    )
    return model.predict(WORST_CASES["drawing"])


@pytest.mark.parametrize(
    ("scores", "possible"),
    [
        ([0.95, 0.03, 0.02], ["covid19"]),
        # Two labels reach their thresholds.
        ([0.56, 0.42, 0.02], ["covid19", "viral_pneumonia"]),
        # The highest label misses its own threshold, another reaches its: both stay possible.
        ([0.05, 0.42, 0.53], ["viral_pneumonia", "normal"]),
        # None reaches its threshold: the most probable, until they hold 95 %.
        ([0.20, 0.02, 0.78], ["covid19", "normal"]),
        ([0.36, 0.33, 0.31], ["covid19", "viral_pneumonia", "normal"]),
        ([0.01, 0.03, 0.96], ["normal"]),
    ],
)
def test_labels_that_cannot_be_ruled_out_are_possible(
    served: ServedModel, scores: list[float], possible: list[str]
) -> None:
    thresholds = {"covid19": 0.5, "viral_pneumonia": 0.4, "normal": 0.97}
    output = with_scores(served, scores, {"alpha": 0.05, "thresholds": thresholds})
    assert output.possible_labels == possible
    assert output.unsure == (len(possible) > 1)
    assert output.label in possible
    np.testing.assert_array_equal(output.features, FEATURES[0])


def test_a_heat_map_shows_what_speaks_for_the_class_where_it_lies() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[1, 0, 3], maps[1, 3, 0] = 5, -5
    heat = heat_map(maps, 1)
    assert heat.shape == (224, 224)
    assert heat.dtype == np.float32
    assert heat.max() == 1
    assert heat.min() == 0
    assert heat[28, 196] > 0.9
    assert heat[196, 28] == 0
    assert not heat_map(maps, 0).any()
    assert heat_map(maps, 1, (100, 50)).shape == (100, 50)


LABELS = ["covid19", "viral_pneumonia", "normal"]


@pytest.mark.parametrize("kind", ShownMap.kinds(LABELS))
def test_every_way_to_show_a_map_keeps_its_place(kind: str) -> None:
    maps = np.zeros((3, 8, 8), np.float32)
    maps[0, 5, 2], maps[2, 5, 2], maps[2, 1, 6] = 4, -4, 4
    heat = ShownMap(kind, LABELS)(maps, "covid19")
    assert (heat.shape, heat.dtype) == ((224, 224), np.float32)
    assert (heat.min(), heat.max()) == (0, 1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (row // 28, column // 28) == (5, 2)
    normal = ShownMap(kind, LABELS)(maps, "normal")
    row, column = np.unravel_index(normal.argmax(), normal.shape)
    assert (row // 28, column // 28) == (1, 6)


def test_a_map_against_normal_is_the_difference_of_the_two() -> None:
    maps = np.random.default_rng(3).normal(size=(3, 5, 5)).astype(np.float32)
    shown = ShownMap("cam, against normal", LABELS)
    np.testing.assert_array_equal(shown(maps, "covid19"), heat_map((maps[0] - maps[2])[np.newaxis], 0))
    np.testing.assert_array_equal(shown(maps, "normal"), heat_map(maps, 2))


def test_a_smoothed_map_weighs_each_place_with_its_neighbours() -> None:
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 0, 0], maps[0, 2, 2] = 8, 16
    expected = np.array([[4.5, 1.5, 0, 0], [1.5, 1.5, 2, 1], [0, 2, 4, 2], [0, 1, 2, 1]], np.float32)
    heat = ShownMap("cam, smoothed", ["covid19"])(maps, "covid19", (4, 4))
    np.testing.assert_allclose(heat, expected / 4.5, atol=1e-6)


def test_the_card_says_how_maps_are_shown() -> None:
    card = {"labels": [{"code": code} for code in LABELS]}
    assert ShownMap.from_card(card).kind == "cam"
    served = {"explanation": {"served": "cam, against normal"}}
    assert ShownMap.from_card(card | served).kind == "cam, against normal"
    with pytest.raises(ModelIntegrityError, match="cannot show"):
        ShownMap.from_card(card | {"explanation": {"served": "tarot"}})
    with pytest.raises(ModelIntegrityError, match="cannot show"):
        ShownMap.from_card({"labels": [{"code": "covid19"}], **served})


def test_a_heat_map_of_something_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError):
        heat_map(np.full((1, 4, 4), np.nan, np.float32), 0)


def test_the_environment_names_the_default_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXR_MODEL_DIR", str(tmp_path))
    assert default_model_folder() == tmp_path


def test_the_committed_model_reads_real_test_images_as_its_card_says(
    served: ServedModel, committed: Path, real_data: Path
) -> None:
    rows = load_split(committed / SPLIT)
    sample = rows[rows["split"] == TEST].sort_values("sha256")[::15]
    called = [served.predict(read_grey((real_data / path).read_bytes())).label for path in sample["path"]]
    assert served.card["metrics"]["test"]["accuracy"]["value"] >= 0.85
    assert (sample["label"] == called).mean() >= 0.85
