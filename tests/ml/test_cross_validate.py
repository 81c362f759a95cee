"""Folds of one published set: who is tested where, what training has seen, and when a start is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.model import lines_of
from ml.cli import main
from ml.training import cross_validate as module
from ml.training.config import Config, Network, load_config
from ml.training.cross_validate import (
    GROUPED,
    PUBLISHED,
    number_folds,
    read_start,
    seen_in_training,
    summarise,
)
from tests.ml.conftest import TINY, drawing, save

LABELS = {"covid19": "COVID-19", "normal": "No finding", "pneumonia": "Pneumonia"}
FOLDERS = {"Covid-19": 0, "No_findings": 1, "Pneumonia": 2}
SMALL = {
    **TINY,
    "labels": LABELS,
    "sources": ["darkcovidnet"],
    "unseen_source": None,
    "resampling": {},
    "network": {"stem": 4, "widths": [6], "blocks": [1], "dropout": 0.1},
    "schedule": {"epochs": 1, "batch": 4, "learning_rate": 0.003},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawings of each class; two normals are of one patient, and one COVID-19 is there twice."""
    folder = tmp_path_factory.mktemp("darkcovidnet")
    for name, bright in FOLDERS.items():
        for n in range(6):
            patient = 0 if name == "No_findings" and n < 2 else 10 * bright + n
            stem = f"case-{n}" if name == "Covid-19" else f"{patient:08d}_{n:03d}"
            save(drawing(1000 * bright + n, bright), folder / f"darkcovidnet/{name}/{stem}.jpg")
    save(drawing(0, 0), folder / "darkcovidnet/Covid-19/case-0-again.jpg", quality=85)
    return folder


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    return path


def rows(labels: list[str], groups: list[int], hashes: list[int] | None = None) -> pd.DataFrame:
    bits = hashes or [
        (2**256 - 1) // 3 ^ (n * 0x123456789ABCDEF << (60 * (n % 3))) for n in range(len(labels))
    ]
    return pd.DataFrame({"label": labels, "group": groups, "dhash": [f"{value:064x}" for value in bits]})


def test_folds_drawn_as_published_hold_each_class_alike_and_groups_may_part() -> None:
    manifest = rows(["a"] * 10 + ["b"] * 20, [n // 2 for n in range(30)])
    folds = number_folds(manifest, PUBLISHED, folds=5, seed=1)
    for number in range(5):
        assert manifest["label"][folds == number].value_counts().to_dict() == {"a": 2, "b": 4}
    assert (number_folds(manifest, PUBLISHED, folds=5, seed=1) == folds).all()


def test_grouped_folds_keep_every_group_whole() -> None:
    manifest = rows(["a"] * 10 + ["b"] * 20, [n // 2 for n in range(30)])
    folds = number_folds(manifest, GROUPED, folds=5, seed=1)
    assert pd.Series(folds).groupby(manifest["group"]).nunique().eq(1).all()
    assert sorted(set(folds)) == [0, 1, 2, 3, 4]


def test_a_class_with_too_few_images_or_groups_is_named() -> None:
    manifest = rows(["a"] * 6 + ["b"] * 6, [0] * 5 + [1] + list(range(2, 8)))
    number_folds(manifest, PUBLISHED, folds=3, seed=1)
    with pytest.raises(ValueError, match="a has 2 images"):
        number_folds(manifest, GROUPED, folds=3, seed=1)


def test_copies_twins_and_patients_in_another_fold_are_counted_and_those_in_the_same_are_not() -> None:
    far = [0, 2**128 - 1 << 64, (2**128 - 1) << 128]
    manifest = rows(
        ["a"] * 6,
        [1, 1, 2, 2, 3, 4],
        [far[0], far[0] | 0b111, far[1], far[1] | (2**15 - 1), far[2], far[2] | 1],
    )
    seen = seen_in_training(manifest, np.array([0, 1, 0, 1, 1, 1]))
    # The first two are copies, the next two near-twins, the last two copies of one fold.
    assert seen["copy"].tolist() == [True, True, False, False, False, False]
    assert seen["near_twin"].tolist() == [True, True, True, True, False, False]
    assert seen["group"].tolist() == [True, True, True, True, False, False]


def test_the_figures_are_those_of_the_folds_and_of_all_together(config_file: Path) -> None:
    manifest = rows(["covid19", "normal", "normal", "pneumonia"], [0, 1, 2, 2])
    probabilities = np.eye(3)[[0, 1, 0, 2]]
    figures = summarise(manifest, np.array([0, 0, 1, 0]), probabilities, load_config(config_file))
    assert [fold["value"] for fold in figures["accuracy_by_fold"]] == [1.0, 0.0]
    assert figures["mean_accuracy"] == 0.5
    assert figures["standard_deviation"] == 0.7071
    assert figures["pooled"]["accuracy"]["correct"] == 3
    assert figures["pooled"]["confusion_matrix"]["rows_are_truth"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    seen = figures["seen_in_training"]
    assert seen["images_with_a_group_in_another_fold"] == 2
    assert seen["accuracy_on_the_others"]["correct"] == seen["accuracy_on_the_others"]["total"] == 2


SHAPE = {"stem": 6, "widths": [8], "blocks": [1], "dropout": 0.1}
TWO = {"covid19": "COVID-19", "normal": "Normal"}


def start(folder: Path, **protocol: object) -> Path:
    """The working folder of a finished `hold-out` run."""
    import keras

    from ml.training.network import SCORES, build_network

    folder.mkdir()
    network = build_network(size=None, n_classes=2, **SHAPE)
    keras.Model(network.input, network.output[SCORES]).save_weights(folder / "best.weights.h5")
    stored = {"left_out": ["darkcovidnet"], "keep_training": False, "network": SHAPE, "size": 24, **protocol}
    (folder / "protocol.json").write_text(json.dumps(stored))
    return folder


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        ({"left_out": ["covid_chestxray", "normal/darkcovidnet"]}, "did not leave darkcovidnet out"),
        ({"keep_training": True}, "kept the near-twins and patients"),
    ],
)
def test_weights_that_saw_the_set_are_refused(protocol: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        read_start(start(tmp_path / "before", **protocol), "darkcovidnet")


def test_weights_without_a_protocol_are_refused(tmp_path: Path) -> None:
    before = start(tmp_path / "before")
    weights, protocol = read_start(before, "darkcovidnet")
    assert weights == before / "best.weights.h5"
    assert read_start(weights, "darkcovidnet") == (weights, protocol)
    (before / "protocol.json").unlink()
    with pytest.raises(ValueError, match="nothing shows that darkcovidnet was left out"):
        read_start(weights, "darkcovidnet")
    with pytest.raises(FileNotFoundError, match="no weights"):
        read_start(tmp_path / "nothing", "darkcovidnet")


def test_the_command_goes_on_after_a_kill_with_the_folds_that_are_left(
    data: Path,
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    arguments = ["cross-validate", "--data", data, "--config", config_file, "--source", "darkcovidnet", "--folds", 2,
                 "--protocol", "grouped", "--work", work, "--json"]  # fmt: skip
    train_fold = module._fold
    trained = []

    def first_then_killed(*given: Any) -> dict[str, Any]:
        if given[4] == 1 and not trained:
            raise KeyboardInterrupt
        tested = int(given[3].sum())
        stored = given[5] / f"fold-{given[4] + 1}.json"
        if given[4] == 0 and not stored.exists():
            # As if it had been trained: every image of the fold is called the first label.
            stored.parent.mkdir(parents=True)
            stored.write_text(json.dumps({"probabilities": [[0.8, 0.1, 0.1]] * tested, "seconds": 60}))
        return train_fold(*given)

    monkeypatch.setattr(module, "_fold", first_then_killed)
    with pytest.raises(KeyboardInterrupt):
        main(list(map(str, arguments)))
    done = (work / "grouped/fold-1.json").read_bytes()
    trained.append("go on")
    assert main(list(map(str, arguments))) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (work / "grouped/fold-1.json").read_bytes() == done
    assert sorted(path.name for path in (work / "grouped").iterdir()) == ["fold-1.json", "fold-2.json"]
    assert figures["images"] == {"covid19": 7, "normal": 6, "pneumonia": 6}
    assert figures["grouped"]["pooled"]["accuracy"]["total"] == 19
    assert figures["grouped"]["seen_in_training"]["images_with_a_group_in_another_fold"] == 0
    assert figures["grouped"]["minutes"] >= 1
    assert figures["protocol"]["start_from"] is None

    def never(*given: object, **named: object) -> None:
        raise AssertionError("a finished fold was trained again")

    monkeypatch.setattr("ml.training.fit.fit", never)
    assert main([*map(str, arguments[:-1])]) == 0
    assert "grouped: accuracy" in capsys.readouterr().out
    assert main([*map(str, arguments), "--epochs", "3"]) == 2
    assert "another protocol" in capsys.readouterr().err


def kernels_of(network: Any) -> list[np.ndarray]:
    """Of every convolution but the last, whose classes are others."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel") and layer.name != "evidence"]
    return [layer.kernel.numpy() for layer in layers]


def test_a_start_gives_the_network_and_the_first_weights(
    data: Path, config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml.training.fit import finished

    def only_first(config: Config, manifest: pd.DataFrame, *given: Any) -> dict[str, Any]:
        # A step of no length leaves the kernels as they were given.
        still = replace(config, schedule=replace(config.schedule, learning_rate=0.0, weight_decay=0.0))
        tested = given[1]
        if given[2] == 0:
            train_fold(still, manifest, *given)
            kernels.extend(kernels_of(finished(config, given[3] / "fold-1" / "epoch-001.weights.h5")))
        return {"probabilities": [[0.8, 0.1, 0.1]] * int(tested.sum()), "seconds": 0}

    kernels: list[np.ndarray] = []
    train_fold = module._fold
    monkeypatch.setattr(module, "_fold", only_first)
    monkeypatch.setattr(module.shutil, "rmtree", lambda folder: None)
    before = start(tmp_path / "before")
    figures = module.cross_validate(
        load_config(config_file), data=data, source="darkcovidnet", folds=2, work=tmp_path / "work",
        protocols=(PUBLISHED,), start_from=before,
    )  # fmt: skip
    (line,) = [line for line in lines_of({"darkcovidnet-pretrained": figures}) if line.value is not None]
    assert line.value == figures["published"]["mean_accuracy"]
    assert figures["protocol"]["size"] == 24
    assert figures["protocol"]["network"]["stem"] == 6
    assert figures["protocol"]["start_from"]["left_out"] == ["darkcovidnet"]
    began = finished(replace(load_config(config_file), network=Network(**SHAPE), size=24, labels=TWO),
                     before / "best.weights.h5")  # fmt: skip
    expected = kernels_of(began)
    assert len(kernels) == len(expected) == 4
    assert all((one == other).all() for one, other in zip(kernels, expected, strict=True))


def test_a_label_that_the_set_does_not_have_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "four.json"
    path.write_text(json.dumps({**SMALL, "labels": {**LABELS, "flu": "Influenza"}}))
    arguments = [
        "cross-validate",
        "--data",
        data,
        "--config",
        path,
        "--source",
        "darkcovidnet",
        "--work",
        tmp_path,
    ]
    assert main(list(map(str, arguments))) == 2
    assert "darkcovidnet holds no image of: flu" in capsys.readouterr().err
