"""What the bias figures are made of, on pictures and answers made by hand; then the whole command."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ml.cli import main
from ml.commands.bias import text
from ml.evaluation.bias import Answers, areas, compare, evidence_inside, positive_score, subsample
from ml.evaluation.markers import CONTRAST, DRAWINGS, cover, draw, edges, letter_spots, mirrored
from ml.evaluation.predict_source import predict_source, simple_statistics
from ml.training.lungs import SIDE
from tests.ml.conftest import Trained

SIZE = 160


def soft_chests(count: int = 2) -> np.ndarray:
    """Smooth grey squares without any letter."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return np.stack([90 + 60 * np.sin(3 * rows + n) * np.cos(2 * columns) for n in range(count)]).astype(
        np.uint8
    )


def middle_lungs(count: int = 2) -> np.ndarray:
    lungs = np.zeros((count, SIZE, SIZE), bool)
    lungs[:, 40:120, 34:126] = True
    return lungs


@pytest.mark.parametrize("what", ["L", "R", "PORTABLE"])
def test_a_letter_that_was_drawn_is_found_and_covering_it_gives_the_picture_back(what: str) -> None:
    plain, lungs = soft_chests(), middle_lungs()
    lettered = draw(plain, what)
    touched = lettered.astype(int) - plain > CONTRAST
    spots = letter_spots(lettered, lungs)
    assert (spots & touched).sum() > 0.9 * touched.sum()
    assert spots.mean() < 0.08
    restored = cover(lettered, spots)
    assert np.percentile(np.abs(restored.astype(int) - plain)[touched], 90) < 15
    assert (restored[~spots] == lettered[~spots]).all()


def test_a_picture_without_letters_has_no_spots_and_one_inside_the_lungs_is_left_alone() -> None:
    plain, lungs = soft_chests(), middle_lungs()
    assert not letter_spots(plain, lungs).any()
    dotted = plain.copy()
    dotted[:, 60:64, 60:64] = 250
    assert not letter_spots(dotted, lungs).any()


def test_left_and_right_letters_stand_where_a_reader_expects_them() -> None:
    plain = soft_chests(1)
    for what, side in (("L", slice(SIZE // 2, None)), ("R", slice(0, SIZE // 2))):
        touched = (draw(plain, what) != plain)[0]
        assert touched[: SIZE // 4, side].any()
        touched[: SIZE // 4, side] = False
        assert not touched.any()
    bordered = draw(plain, "black_border")
    assert not bordered[:, 0].any()
    assert (bordered[:, 12:-12, 12:-12] == plain[:, 12:-12, 12:-12]).all()


@pytest.mark.parametrize("what", DRAWINGS)
def test_every_drawing_changes_the_squares_of_a_small_network_too(what: str) -> None:
    small = soft_chests()[:, ::2, ::2]
    changed = draw(small, what)
    assert changed.shape == small.shape
    assert changed.dtype == np.uint8
    assert (changed != small).any()


def test_edges_and_mirrored_spots_spare_the_lungs() -> None:
    lungs = middle_lungs(1)
    border = edges(lungs)
    assert border[0, 0].all()
    assert border[0, :32, :32].all()
    assert not (border & lungs).any()
    spot = np.zeros_like(lungs)
    spot[0, 50:54, 2:6] = True
    assert mirrored(spot, lungs)[0, 50:54, -6:-2].all()
    spot[0, 50:54, 2:6] = False
    spot[0, :4, 70:90] = True
    assert not mirrored(spot, lungs).any(), "what lies on both sides is the letter itself"


def test_an_image_hidden_whole_takes_one_grey() -> None:
    covered = cover(soft_chests(1), np.ones((1, SIZE, SIZE), bool))
    assert (covered == 127).all()


def test_a_source_that_stands_in_the_inputs_is_named_and_one_that_does_not_is_not() -> None:
    random = np.random.default_rng(3)
    sources = np.repeat(["one", "other", "small"], [60, 40, 5])
    groups = np.arange(len(sources)) // 2
    noise = random.normal(size=(len(sources), 6))
    telling = noise + 5 * (sources == "one")[:, np.newaxis]
    found = predict_source(telling, sources, groups)
    assert found is not None
    assert found["balanced_accuracy"] == 1.0
    assert found["chance"] == 0.5
    assert found["images"] == {"one": 60, "other": 40}
    silent = predict_source(noise, sources, groups)
    assert silent is not None
    low, high = silent["interval_95"]
    assert low < 0.5 < high
    assert predict_source(noise[:60], sources[:60], groups[:60]) is None


def test_twins_on_both_sides_cannot_help_to_name_a_source() -> None:
    # Each group is one picture ten times; its source says nothing about that of the others.
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), 10)
    sources = np.where(groups % 2, "one", "other")
    inputs = random.normal(size=(20, 40))[groups]
    found = predict_source(inputs, sources, groups)
    assert found is not None
    assert found["balanced_accuracy"] < 0.8


def test_simple_statistics_see_greys_and_borders_and_no_place_inside() -> None:
    squares = np.zeros((2, 32, 32), np.uint8)
    squares[0, :2] = 255
    squares[1, 10:12] = 255
    one, other = simple_statistics(squares)
    assert one[31] == other[31] == 2 / 32
    assert one[32] == 255
    assert other[32] == 0
    assert one[-2:].tolist() == other[-2:].tolist() == [30 / 32, 2 / 32]


def test_a_subsample_takes_at_most_so_many_of_each_stratum_and_the_same_again() -> None:
    strata = np.repeat(["many", "few"], [50, 3])
    chosen = subsample(strata, most=10, seed=4)
    names, counts = np.unique(strata[chosen], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"few": 3, "many": 10}
    assert (chosen == subsample(strata, most=10, seed=4)).all()
    assert not (chosen == subsample(strata, most=10, seed=5)).all()


def test_the_score_leaves_the_third_class_out_and_a_model_without_the_classes_is_refused() -> None:
    scores = np.array([[0.2, 0.7, 0.1], [0.0, 1.0, 0.0]])
    assert positive_score(scores, ["covid19", "flu", "normal"]) == pytest.approx([2 / 3, 0])
    with pytest.raises(ValueError, match="no label normal"):
        positive_score(scores[:, :2], ["covid19", "flu"])


def test_each_pair_of_sources_has_its_area() -> None:
    strata = np.repeat(["covid19/a", "covid19/b", "normal/a", "normal/c", "flu/c"], [10, 10, 10, 4, 10])
    truth = np.array([name.split("/")[0] for name in strata])
    score = np.concatenate([np.full(10, 0.9), np.full(10, 0.1), np.full(10, 0.5), np.zeros(4), np.ones(10)])
    found = areas(strata, truth, score)
    assert set(found) == {"all", "covid19/a against normal/a", "covid19/b against normal/a"}
    assert found["covid19/a against normal/a"]["value"] == 1.0
    assert found["covid19/b against normal/a"]["value"] == 0.0
    assert found["all"]["images"] == [20, 14]
    # 10 of 20 above all 14; 10 of 20 above 4 of them.
    assert found["all"]["value"] == pytest.approx((10 * 14 + 10 * 4) / (20 * 14), abs=1e-4)


def answers(called: list[str], scores: np.ndarray) -> Answers:
    return Answers(scores, np.empty(0), np.empty(0), np.array(called))


def test_the_answers_that_a_change_turned_are_counted_with_their_direction() -> None:
    truth = np.array(["covid19", "covid19", "normal", "normal"])
    strata = np.char.add(truth, "/x")
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    before = answers(["covid19", "covid19", "normal", "normal"], scores)
    after = answers(["covid19", "normal", "normal", "normal"], scores)
    found = compare(before, after, truth, strata, ["covid19", "normal"])
    assert found["accuracy"]["value"] == 0.75
    assert found["balanced_accuracy"] == 0.75
    assert found["called"] == {"covid19": 1, "normal": 3}
    assert found["answers_changed"]["correct"] == 1
    assert found["answers_changed"]["from_to"] == {"covid19 to normal": 1}
    assert found["auroc"]["all"]["value"] == 1.0


def test_evidence_inside_the_lungs_is_a_share_of_the_positive_evidence_alone() -> None:
    lungs = np.zeros((3, 32, 32), bool)
    lungs[:, :, :16] = True
    maps = np.zeros((3, 32, 32, 2), np.float32)
    maps[0, :, :16, 0] = 1
    maps[0, :, 16:, 0] = -50
    maps[1, :, :8, 0], maps[1, :, 24:, 0] = 1, 3
    maps[2] = -1
    found = evidence_inside(maps, lungs, np.array(["covid19", "normal", "flu"]), ["covid19", "normal"])
    assert found["covid19"]["mean"] == 1.0
    assert found["normal"]["mean"] == 0.25
    assert found["normal"]["lungs_share_of_area"] == 0.5
    assert found["flu"] == {"images": 0, "mean": None, "interval_95": None, "lungs_share_of_area": None}


@pytest.fixture(scope="module")
def data(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn sets and six outlined drawings."""
    folder = tmp_path_factory.mktemp("outlined")
    for source in trained.data.iterdir():
        (folder / source.name).symlink_to(source)
    for part in ("images", "lungs"):
        (folder / "covid-segmentation" / part).mkdir(parents=True)
    for n in range(6):
        mask = np.zeros((48, 48), np.uint8)
        mask[10:38, 6:20] = mask[10:38, 28:42] = 255
        picture = np.random.default_rng(n).integers(150, 190, (48, 48), dtype=np.uint8)
        picture[mask > 0] -= 100
        Image.fromarray(picture).save(folder / f"covid-segmentation/images/case-{n}.jpg")
        Image.fromarray(mask).save(folder / f"covid-segmentation/lungs/case-{n}.png")
    return folder


def test_the_command_measures_a_model_on_its_own_test_split(
    trained: Trained, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Training a network that outlines drawings is tested elsewhere; here two boxes stand for the lungs.
    boxes = np.zeros((1, SIDE, SIDE, 1), np.float32)
    boxes[:, 20:76, 12:40] = boxes[:, 20:76, 56:84] = 1
    monkeypatch.setattr(
        "ml.training.lungs.train_outliner",
        lambda images, lungs, steps: (
            lambda batch, training: tf.constant(np.repeat(boxes, len(batch), axis=0)),
            np.array([0.9, 0.8]),
        ),
    )
    assert main(["bias", str(trained.folder), "--data", str(data), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    card = json.loads((trained.folder / "card.json").read_text(encoding="utf-8"))
    figures = answer["bias"]
    assert answer["model"]["name"] == card["name"]
    # The same model on the same images: the figures agree with those of its card.
    test = card["metrics"]["test"]["accuracy"]
    assert figures["images"] == test["total"]
    assert figures["groups"]["view"]["frontal"]["accuracy"]["correct"] == test["correct"]
    assert set(figures["groups"]["age_group"]) == {"0-17", "not known"}
    assert figures["shown"]["all"]["answers_changed"]["correct"] == 0
    assert set(figures["shown"]) == {"all", "borders", "only_lungs", "no_lungs"}
    assert set(figures["drawn"]) == set(DRAWINGS)
    assert figures["subsample"]["images"] == figures["images"]
    assert figures["lungs"]["overlap_on_cases_held_out"] == 0.85
    assert figures["evidence_inside_lungs"]["covid19"]["lungs_share_of_area"] == pytest.approx(0.41, abs=0.05)
    lines = text(figures)
    assert f"Test split, {test['total']} images" in lines
    assert "shown no lungs" in lines


def test_without_outlines_the_command_says_what_is_missing(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bias", str(trained.folder), "--data", str(trained.data)]) == 2
    assert "covid-segmentation" in capsys.readouterr().err
