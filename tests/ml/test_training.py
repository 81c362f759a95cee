"""Resampling, input and the loop; then the whole command on drawn images."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.cli import main
from ml.data.manifest import list_images
from ml.data.split import TEST, TRAIN, load_split
from ml.serving import load_model
from ml.serving.folder import SPLIT
from ml.training.config import CONFIGS, Augmentation, Config, Schedule, load_config
from ml.training.resampling import resample
from ml.training.train import name_and_version, prepare
from tests.ml.conftest import TINY, Trained


def test_small_strata_are_repeated_large_ones_thinned_and_others_left_alone() -> None:
    strata = np.array(["few"] * 3 + ["many"] * 50 + ["as they are"] * 7)
    drawn = resample(strata, {"few": 20, "many": 10, "not there": 5}, seed=1)
    names, counts = np.unique(strata[drawn], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"few": 20, "many": 10, "as they are": 7}
    assert set(drawn[strata[drawn] == "few"]) == {0, 1, 2}


def test_a_new_epoch_draws_anew_and_the_same_seed_draws_the_same() -> None:
    strata = np.array(["few"] * 3 + ["many"] * 50)
    one, again, other = (resample(strata, {"many": 10}, seed=seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert set(one) != set(other)


def numbered_images(count: int) -> np.ndarray:
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, 16, 16)).copy()


def epoch_contents(first_epoch: int, augmentation: Augmentation) -> list[np.ndarray]:
    from ml.training.pipeline import TrainingInput

    rows = TrainingInput(
        numbered_images(24), np.arange(24) % 2, np.array(["a", "b"] * 12), targets={"a": 16},
        augmentation=augmentation, schedule=Schedule(epochs=3, batch=4, learning_rate=1.0), seed=5,
    )  # fmt: skip
    return [images.numpy() for images, _ in rows.batches(first_epoch, 3, 16)]


def test_a_resumed_input_goes_on_with_the_very_batches_that_were_left() -> None:
    change = Augmentation(rotation_degrees=10, shift=0.1, zoom=0.1, gamma=0.2, blur=0.5, noise=0.1)
    whole, rest = epoch_contents(0, change), epoch_contents(2, change)
    assert len(whole) == 3 * 7
    assert len(rest) == 7
    assert all((one == other).all() for one, other in zip(whole[14:], rest, strict=True))
    assert not (whole[0] == whole[7]).all()


def test_no_augmentation_means_the_image_itself() -> None:
    seen = {round(float(image.max()) * 255) for batch in epoch_contents(0, Augmentation()) for image in batch}
    assert seen == set(range(24))


def changed(images: np.ndarray, number: int = 3, **change: float) -> np.ndarray:
    """The images (n, size, size, 1) as one batch of training shows them."""
    from ml.training.pipeline import augment

    return augment(images, Augmentation(**change), np.array([5, number], np.int32)).numpy()


def smooth_images() -> np.ndarray:
    rows, columns = np.mgrid[0:32, 0:32] / 32
    pictures = [0.5 + 0.3 * np.sin(6 * rows * (1 + n / 64) + n) * np.cos(5 * columns) for n in range(64)]
    return np.array(pictures, np.float32)[..., np.newaxis]


ONE_BY_ONE = [
    {"local_contrast": 0.8}, {"low_resolution": 0.5}, {"jpeg": 0.5}, {"border": 0.2}, {"patches": 2},
]  # fmt: skip


@pytest.mark.parametrize("change", ONE_BY_ONE)
def test_each_change_that_hides_the_source_stays_in_range_and_repeats_itself(change: dict) -> None:
    images = smooth_images()
    one = changed(images, **change)
    assert one.shape == images.shape
    assert 0 <= one.min() <= one.max() <= 1
    assert np.isfinite(one).all()
    assert (one == changed(images, **change)).all()
    assert not (one == changed(images, number=4, **change)).all()


@pytest.mark.parametrize("change", ["low_resolution", "jpeg"])
def test_a_share_of_the_images_is_changed_and_the_others_are_as_they_were(change: str) -> None:
    images = smooth_images()
    touched = (np.abs(changed(images, **{change: 0.5}) - images) > 1e-6).any(axis=(1, 2, 3))
    assert 16 < touched.sum() < 48
    assert (np.abs(changed(images, **{change: 1.0}) - images) > 1e-6).any(axis=(1, 2, 3)).all()


def test_a_frame_is_of_one_grey_and_leaves_the_middle_alone() -> None:
    images = smooth_images()
    framed = changed(images, border=0.25)
    assert (framed[:, 8:-8, 8:-8] == images[:, 8:-8, 8:-8]).all()
    touched = framed != images
    assert 32 < touched.any(axis=(1, 2, 3)).sum() < 64
    for image, mask in zip(framed, touched, strict=True):
        assert len(np.unique(image[mask])) <= 1


def test_patches_lie_in_the_corners_and_in_all_four() -> None:
    images = smooth_images()
    touched = (changed(images, patches=1) != images)[..., 0]
    assert touched.any(axis=(1, 2)).all()
    middle = touched[:, 10:-10, :].any() or touched[:, :, 10:-10].any()
    assert not middle
    corners = [touched[:, rows, columns].any() for rows in (slice(0, 10), slice(-10, None))
               for columns in (slice(0, 10), slice(-10, None))]  # fmt: skip
    assert all(corners)


def test_local_contrast_goes_both_ways() -> None:
    images = smooth_images()
    deviations = changed(images, local_contrast=0.9).std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert deviations.min() < 0.999 < 1.001 < deviations.max()


def test_training_stops_when_the_last_epochs_brought_nothing() -> None:
    from ml.training.fit import has_stalled

    history = [{"size": 16, "val_loss": loss} for loss in (0.9, 0.5, 0.6, 0.7)]
    assert not has_stalled(history, patience=3)
    assert has_stalled(history, patience=2)
    assert not has_stalled([*history, {"size": 16, "val_loss": 0.4}], patience=2)


@pytest.mark.parametrize(
    "small", [{}, {"small_size": 8, "small_epochs": 1}], ids=["one size", "small squares first"]
)
def test_a_killed_training_goes_on_to_the_result_of_an_unbroken_one(
    small: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ml.training.fit as loop

    schedule = {**TINY["schedule"], **small}
    config = load_config_from({**TINY, "size": 16, "unseen_source": None, "schedule": schedule}, tmp_path)
    random = np.random.default_rng(2)
    images, labels = random.integers(0, 255, (48, 16, 16), dtype=np.uint8), np.arange(48) % 3
    run = functools.partial(
        loop.fit, config, images=images, labels=labels, strata=labels.astype(str),
        training=np.arange(36), validation=np.arange(36, 48),
    )  # fmt: skip
    unbroken, whole_history, _ = run(folder=tmp_path / "unbroken")
    first_epoch_ends = loop.Checkpoint.on_epoch_end

    def killed(self: loop.Checkpoint, epoch: int, logs: dict[str, float] | None = None) -> None:
        first_epoch_ends(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Checkpoint, "on_epoch_end", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder=tmp_path / "broken")
    resumed, history, _ = run(folder=tmp_path / "broken")
    assert history["epoch"].tolist() == [1, 2]
    pd.testing.assert_frame_equal(history, whole_history, rtol=1e-5)
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def load_config_from(document: dict, folder: Path) -> Config:
    path = folder / "config.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": True},
        {"network": {"depth": 3}},
        {"labels": {"normal": "Normal"}},
        {"relabel": {"SARS": "flu"}},
    ],
)
def test_a_configuration_with_a_mistake_is_refused(change: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        load_config_from({**TINY, **change}, tmp_path)


def test_a_finding_is_taken_for_the_label_that_the_configuration_says_and_laterals_stay_out(
    trained: Trained, tmp_path: Path
) -> None:
    document = {**TINY, "sources": ["radiography_database", "chest_xray", "covid_chestxray"],
                "unseen_source": None, "relabel": {"Streptococcus": "viral_pneumonia"}}  # fmt: skip
    manifest, _ = prepare(load_config_from(document, tmp_path), trained.data, tmp_path / "work")
    labels = manifest.set_index("path")["label"]
    assert labels["covid-chestxray-dataset/images/case-2.jpg"] == "viral_pneumonia"
    assert labels["covid-chestxray-dataset/images/case-1.jpg"] == "covid19"
    assert "covid-chestxray-dataset/images/lateral.jpg" not in labels
    assert "bacterial_pneumonia" not in set(labels)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_every_stratum_that_a_committed_configuration_names_has_images(path: Path, real_data: Path) -> None:
    config = load_config(path)
    images = list_images(real_data, config.sources).replace({"label": config.relabel})
    strata = set(images["label"] + "/" + images["source"])
    assert set(config.resampling) <= strata
    assert set(config.relabel) <= set(list_images(real_data, config.sources)["label"])
    assert {name.split("/")[0] for name in strata} >= set(config.labels)


def test_the_folders_name_gives_name_and_version() -> None:
    assert name_and_version(Path("zoo/covid3-1.0.0")) == ("covid3", "1.0.0")
    assert name_and_version(Path("zoo/my-model")) == ("my-model", "0.0.0")


def test_the_command_leaves_a_whole_model_folder(trained: Trained) -> None:
    names = {
        path.relative_to(trained.folder).as_posix() for path in trained.folder.rglob("*") if path.is_file()
    }
    assert names == {
        "card.json", "model.keras", "model.onnx", "preprocessing.json", "split.csv.gz", "history.csv",
        "novelty.npz",
        "README.md", "plots/training.png", "plots/classes.png", "plots/intensity.png", "plots/confusion.png",
        "plots/roc.png", "plots/precision-recall.png", "plots/reliability.png",
    }  # fmt: skip
    card = load_model(trained.folder).card
    assert set(card["files"]) == names - {"card.json"}
    assert (card["name"], card["version"]) == ("tiny", "0.1.0")
    assert card["training"]["epochs_run"] == 1
    assert card["data"]["duplicates"]["between"]["chest_xray and radiography_database"]["copied_images"] == 2
    assert max(card["runtime_parity"]["largest_difference"].values()) <= 1e-4
    assert str(trained.data) not in json.dumps(card)


def test_the_command_resamples_nothing_but_the_training_side(trained: Trained) -> None:
    rows = load_split(trained.folder / SPLIT)
    assert not rows["path"].duplicated().any()
    assert (rows.groupby("group")["split"].nunique() == 1).all()
    assert 0 < (rows["split"] == TEST).sum() < (rows["split"] == TRAIN).sum()
    card = json.loads((trained.folder / "card.json").read_text(encoding="utf-8"))
    assert card["metrics"]["test"]["accuracy"]["total"] == (rows["split"] == TEST).sum()
    assert card["metrics"]["unseen_source"]["images"] == 6


def test_the_card_can_be_measured_again_from_the_folder(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(trained.folder), "--data", str(trained.data), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    card = json.loads((trained.folder / "card.json").read_text(encoding="utf-8"))
    for block in ("metrics", "calibration", "operating_points", "conformal", "runtime_parity"):
        assert again[block] == card[block]


def test_measuring_on_other_images_is_refused(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(trained.folder), "--data", str(tmp_path)]) == 2
    assert "The data folder holds no" in capsys.readouterr().err


def test_a_model_is_never_written_over(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained.folder / "card.json").read_bytes()
    assert main(["train", "--data", str(trained.data), "--out", str(trained.folder)]) == 2
    assert "never written over" in capsys.readouterr().err
    assert (trained.folder / "card.json").read_bytes() == before


def test_an_interrupted_run_of_another_configuration_is_not_continued(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    prepare(load_config(trained.config), trained.data, work)
    arguments = [
        "--data",
        trained.data,
        "--out",
        tmp_path / "x-1.0.0",
        "--config",
        trained.config,
        "--work",
        work,
    ]
    assert main(["train", *map(str, arguments), "--epochs", "3"]) == 2
    assert "another configuration" in capsys.readouterr().err


def test_a_finished_run_leaves_nothing_that_a_later_one_could_take_for_its_own(trained: Trained) -> None:
    assert not trained.work.exists()
