"""What a configuration can ask of a training beside the plain run: other diseases, sources held for the test, balance,
small squares first, other surroundings, style mixing, and a start from another model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.data.split import AUXILIARY, TEST, TRAIN, VALIDATION, load_split
from ml.serving.folder import SPLIT
from ml.training.config import Augmentation, Config, Schedule, load_config
from ml.training.resampling import resample, spread
from ml.training.train import origin_of, prepare, starting_weights
from tests.ml.conftest import TINY, Trained


def config_of(folder: Path, **change: Any) -> Config:
    path = folder / "config.json"
    path.write_text(json.dumps({**TINY, "unseen_source": None, **change}), encoding="utf-8")
    return load_config(path)


def fit_of(config: Config, folder: Path, **more: Any) -> Any:
    from ml.training.fit import fit

    random = np.random.default_rng(2)
    images, labels = (
        random.integers(0, 255, (48, 32, 32), dtype=np.uint8),
        np.arange(48) % len(config.classes),
    )
    return fit(
        config, images=images, labels=labels, strata=labels.astype(str), training=np.arange(36),
        validation=np.arange(36, 48), folder=folder, **more,
    )  # fmt: skip


def test_a_code_that_is_learnt_beside_the_labels_is_not_among_the_answers_and_leaves_their_odds(
    tmp_path: Path,
) -> None:
    import keras

    from ml.training.network import SCORES, build_network

    config = config_of(tmp_path, auxiliary={"bacterial_pneumonia": "Bacterial"})
    network, history, _ = fit_of(config, tmp_path / "work")
    assert len(history) == 2
    images = np.random.default_rng(3).random((4, 32, 32, 1), np.float32)
    answers = network(images, training=False)
    whole = build_network(size=32, n_classes=4, **vars(config.network))
    keras.Model(whole.input, whole.output[SCORES]).load_weights(tmp_path / "work" / "best.weights.h5")
    every = whole(images, training=False)[SCORES].numpy()
    assert answers[SCORES].shape == (4, 3)
    np.testing.assert_allclose(
        answers[SCORES].numpy(), every[:, :3] / every[:, :3].sum(axis=1, keepdims=True), atol=1e-5
    )
    np.testing.assert_allclose(
        answers["maps"].numpy().mean(axis=(1, 2)),
        np.log(answers[SCORES]) - np.log(answers[SCORES]).mean(axis=1, keepdims=True),
        atol=1e-4,
    )
    np.testing.assert_allclose(
        answers["features"].numpy(), whole(images, training=False)["features"].numpy(), atol=1e-5
    )


def test_small_squares_in_bfloat16_give_a_network_of_the_whole_size_in_full_precision(tmp_path: Path) -> None:
    schedule = {**TINY["schedule"], "epochs": 3, "small_size": 16, "small_epochs": 2, "mixed_precision": True}
    config = config_of(tmp_path, schedule=schedule, network={**TINY["network"], "style_mixing": 0.5})
    network, history, _ = fit_of(config, tmp_path / "work")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["size"].tolist() == [16, 16, 32]
    assert network.input_shape == (None, 32, 32, 1)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert (tmp_path / "work" / "curves.png").stat().st_size > 0
    import keras

    assert keras.config.dtype_policy().name == "float32"


def test_a_resumed_run_goes_on_with_the_same_batches_of_whatever_size() -> None:
    from ml.training.pipeline import TrainingInput

    images = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None], (24, 16, 16)).copy()
    rows = TrainingInput(
        images, np.arange(24) % 2, np.array(["a", "b"] * 12), targets={}, augmentation=Augmentation(noise=0.1),
        seed=5, schedule=Schedule(epochs=3, batch=4, learning_rate=1.0),
    )  # fmt: skip
    whole = [pixels.numpy() for pixels, _ in rows.batches(0, 2, 8)]
    rest = [pixels.numpy() for pixels, _ in rows.batches(1, 2, 8)]
    assert [pixels.shape for pixels in whole] == [(4, 8, 8, 1)] * 12
    assert all((one == other).all() for one, other in zip(whole[6:], rest, strict=True))
    assert [pixels.shape for pixels, _ in rows.batches(2, 3, 16)] == [(4, 16, 16, 1)] * 6


def test_what_squares_of_another_size_were_judged_like_is_not_compared() -> None:
    from ml.training.fit import has_stalled, kept_epoch

    losses = [(1, 16, 0.2), (2, 16, 0.1), (3, 32, 0.9), (4, 32, 0.5), (5, 32, 0.6)]
    history = [{"epoch": epoch, "size": size, "val_loss": loss} for epoch, size, loss in losses]
    assert kept_epoch(history, "best") == 4
    assert kept_epoch(history[:3], "best") == 3
    assert kept_epoch(history, "last") == 5
    assert not has_stalled(history, patience=2)
    assert has_stalled(history, patience=1)


def test_other_surroundings_keep_the_lungs_and_the_label_and_change_what_lies_around() -> None:
    from ml.training.pipeline import TrainingInput

    random = np.random.default_rng(1)
    images = random.integers(40, 200, (8, 32, 32), dtype=np.uint8)
    lungs = np.zeros((8, 32, 32), np.uint8)
    lungs[:, 8:24, 8:24] = 255
    rows = TrainingInput(
        images, np.arange(8), np.array(["a"] * 8), targets={}, seed=5, lungs=lungs,
        augmentation=Augmentation(other_surroundings=1.0), schedule=Schedule(epochs=1, batch=8, learning_rate=1.0),
    )  # fmt: skip
    (shown, labels), *_ = rows.batches(0, 1, 32)
    own = images[labels.numpy()] / 255
    np.testing.assert_allclose(shown.numpy()[:, 9:23, 9:23, 0], own[:, 9:23, 9:23], atol=1e-5)
    assert (np.abs(shown.numpy()[:, :7, :, 0] - own[:, :7]) > 0.01).mean() > 0.9


def test_lungs_move_with_their_image() -> None:
    from ml.training.network import MAPS
    from ml.training.pipeline import TrainingInput

    pictures = np.zeros((8, 32, 32), np.uint8)
    pictures[:, 10:20, 12:26] = 255
    rows = TrainingInput(
        pictures, np.arange(8), np.array(["a"] * 8), targets={}, seed=5, lungs=pictures,
        augmentation=Augmentation(rotation_degrees=20, shift=0.1, zoom=0.2),
        schedule=Schedule(epochs=1, batch=8, learning_rate=1.0, outside_lungs=1.0),
    )  # fmt: skip
    (shown, truth), *_ = rows.batches(0, 1, 32)
    assert np.abs(shown.numpy() - pictures[..., np.newaxis] / 255).max() > 0.5
    np.testing.assert_allclose(truth[MAPS].numpy(), shown.numpy(), atol=1e-4)


def test_evidence_counts_against_the_network_only_outside_the_lungs() -> None:
    from ml.training.fit import evidence_outside

    lungs = np.zeros((2, 8, 8, 1), np.float32)
    lungs[:, :, :4] = 1
    inside, outside = np.zeros((2, 1, 4, 4, 3), np.float32)
    inside[:, :, :2] = 5
    outside[:, 1, 3] = 2
    assert float(evidence_outside(lungs[:1], inside)[0]) == 0
    assert float(evidence_outside(lungs[:1], outside)[0]) == pytest.approx(4 / 16)


def test_a_training_that_asks_for_reasons_inside_the_lungs_finds_fewer_outside(tmp_path: Path) -> None:
    from ml.training.fit import fit

    labels = np.arange(96) % 3
    images = np.random.default_rng(2).integers(0, 60, (96, 32, 32), dtype=np.uint8)
    # Both the middle and a corner give the class away.
    images[:, 12:20, 12:20] += (60 * labels)[:, None, None].astype(np.uint8)
    images[:, :6, :6] += (60 * labels)[:, None, None].astype(np.uint8)
    lungs = np.zeros((96, 32, 32), np.uint8)
    lungs[:, 8:24, 8:24] = 255
    evidence = []
    for weight in (1e-6, 1.0):
        schedule = {"epochs": 8, "batch": 16, "learning_rate": 0.01, "patience": 8, "outside_lungs": weight}
        config = config_of(tmp_path, schedule=schedule, augmentation={}, resampling={})
        network, history, _ = fit(
            config, images=images, labels=labels, strata=labels.astype(str), training=np.arange(72),
            validation=np.arange(72, 96), folder=tmp_path / str(weight), lungs=lungs,
        )  # fmt: skip
        assert {"accuracy", "val_accuracy", "loss", "val_loss"} <= set(history.columns)
        maps = network(images[72:, ..., np.newaxis].astype(np.float32) / 255, training=False)["maps"].numpy()
        ring = np.ones(maps.shape[1:3], bool)
        ring[1:-1, 1:-1] = False
        evidence.append(np.square(maps[:, ring]).sum() / np.square(maps).sum())
    assert evidence[1] < evidence[0] / 2


def test_style_mixing_changes_nothing_but_a_training() -> None:
    from ml.training.network import StyleMixing

    layer = StyleMixing(1.0)
    images = np.random.default_rng(4).random((16, 8, 8, 3), np.float32) * np.arange(1, 17).reshape(
        -1, 1, 1, 1
    )
    images = images.astype(np.float32)
    assert (layer(images, training=False).numpy() == images).all()
    mixed = layer(images, training=True).numpy()
    means, before = mixed.mean(axis=(1, 2)), images.mean(axis=(1, 2))
    assert np.abs(means - before).max() > 0.1
    # What is within an image stays in its order: only means and deviations move.
    for one, other in zip(mixed, images, strict=True):
        assert (np.argsort(one[..., 0].ravel()) == np.argsort(other[..., 0].ravel())).mean() > 0.9


def test_batches_in_an_even_order_hold_every_stratum_in_the_same_share() -> None:
    strata = np.array(["rare"] * 10 + ["common"] * 90)
    drawn = resample(strata, {"rare": 40, "common": 40}, seed=3)
    ordered = spread(strata, drawn, seed=3)
    assert sorted(ordered) == sorted(drawn)
    assert {int((strata[ordered[start : start + 8]] == "rare").sum()) for start in range(0, 80, 8)} <= {
        3,
        4,
        5,
    }
    assert (spread(strata, drawn, seed=3) == ordered).all()
    assert not (spread(strata, drawn, seed=4) == ordered).all()


def test_class_weights_let_every_class_weigh_the_same(tmp_path: Path) -> None:
    from ml.training.fit import _class_weights

    weights = _class_weights(np.array([0] * 6 + [1] * 3 + [2]), 3)
    assert [round(weights[number] * count, 6) for number, count in enumerate((6, 3, 1))] == [
        round(10 / 3, 6)
    ] * 3
    config = config_of(tmp_path, balance="class_weights")
    _, history, _ = fit_of(config, tmp_path / "work")
    assert len(history) == 2


def test_a_balance_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="balance must be one of"):
        config_of(tmp_path, balance="weighted")


def test_a_code_may_not_be_label_and_auxiliary(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label and as auxiliary"):
        config_of(tmp_path, auxiliary={"normal": "Normal"})


def test_images_of_a_source_held_for_the_test_and_their_copies_are_not_trained_on(
    trained: Trained, tmp_path: Path
) -> None:
    config = config_of(tmp_path, test_only=["covid_chestxray"])
    manifest, _ = prepare(config, trained.data, tmp_path / "work")
    assert set(manifest["source"]) == {"chest_xray", "radiography_database"}
    copy = manifest.set_index("path")["split"]["COVID-19_Radiography_Dataset/COVID/images/COVID-3.png"]
    assert copy == TEST
    assert (manifest.groupby("group")["split"].nunique() == 1).all()


def test_auxiliary_images_are_recorded_on_sides_of_their_own(trained: Trained, tmp_path: Path) -> None:
    config = config_of(
        tmp_path, auxiliary={"other": "Other"}, relabel={"Streptococcus": "other"},
        sources=["chest_xray", "radiography_database", "covid_chestxray"],
    )  # fmt: skip
    manifest, _ = prepare(config, trained.data, tmp_path / "work")
    sides = manifest.groupby("label")["split"].unique()
    assert set(sides["other"]) <= {AUXILIARY + side for side in (TRAIN, VALIDATION, TEST)}
    assert not any(side.startswith(AUXILIARY) for code in config.labels for side in sides[code])


def test_training_goes_on_from_a_model_that_never_saw_the_test_and_not_from_one_that_did(
    trained: Trained, tmp_path: Path
) -> None:
    rows = load_split(trained.folder / SPLIT)
    rows = rows[rows["split"].isin([TRAIN, VALIDATION, TEST])]
    weights = starting_weights(trained.folder, rows)
    config = config_of(tmp_path, labels={**TINY["labels"], "bacterial_pneumonia": "Bacterial"})
    begun, _, _ = fit_of(
        Config(**{**vars(config), "schedule": Schedule(epochs=1, batch=8, learning_rate=0.0)}),
        tmp_path / "work", start_from=weights,
    )  # fmt: skip
    import keras

    first = keras.models.load_model(weights, compile=False)
    same = [
        one.path for one, other in zip(begun.trainable_weights, first.trainable_weights, strict=True)
        if one.shape == other.shape and np.allclose(one.numpy(), other.numpy())
    ]  # fmt: skip
    assert len(same) >= len(begun.trainable_weights) - 2
    moved = rows.assign(split=rows["split"].map({TRAIN: TEST, TEST: TRAIN, VALIDATION: VALIDATION}))
    with pytest.raises(ValueError, match=r"learnt from .* images that this configuration tests on"):
        starting_weights(trained.folder, pd.DataFrame(moved))


def test_a_training_that_goes_on_from_a_checkpoint_begins_its_own_schedule(tmp_path: Path) -> None:
    schedule = {"epochs": 2, "batch": 8, "learning_rate": 0.01, "patience": 2}
    config = config_of(tmp_path, schedule=schedule, augmentation={}, resampling={})
    from ml.training.fit import finished

    fit_of(config, tmp_path / "first")
    checkpoint = tmp_path / "first" / "best.weights.h5"
    first = finished(config, checkpoint)
    # Of the first run's schedule, no step is left.
    second, _, _ = fit_of(config, tmp_path / "second", start_from=checkpoint)
    learnt = [
        float(np.abs(one.numpy() - other.numpy()).max())
        for one, other in zip(second.trainable_weights, first.trainable_weights, strict=True)
    ]
    assert min(learnt) > 1e-4


def test_the_card_says_what_a_training_went_on_from(trained: Trained) -> None:
    from ml.evaluation.readme import model_card_text
    from ml.serving import load_model

    model = load_model(trained.folder)
    origin = origin_of(trained.folder)
    assert origin["sha256"] == model.sha256
    assert origin["training"]["configuration"] == model.card["training"]["configuration"]
    card = {**model.card, "training": {**model.card["training"], "started_from": origin}}
    said = f"of {origin['name']} {origin['version']}, whose weights were the first ones"
    assert said in model_card_text(card)
    assert said not in model_card_text(model.card)
