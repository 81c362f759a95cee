"""Maps of where a network looked: known answers on a network built by hand, and the game they are scored by."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers, ops
from PIL import Image

from ml.cli import main
from ml.commands import explain as explain_command
from ml.commands.explain_score import table
from ml.data.split import save_split
from ml.explanation import controls
from ml.explanation.cases import Cases, read_cases
from ml.explanation.maps import explain
from ml.explanation.methods import (
    METHODS,
    Explained,
    grad_cam,
    grad_cam_plus_plus,
    integrated_gradients,
    occlusion,
)
from ml.explanation.pointing import chosen_on_the_other_half, grown, mass_inside, mean, pointing
from ml.explanation.score import score_maps
from ml.phantom import draw_chest
from ml.preprocessing import Preprocessing
from ml.serving import ServedModel, ShownMap
from ml.serving.folder import CARD, KERAS, SPLIT, file_digests
from ml.training.network import build_network
from tests.ml.conftest import drawing, save

SIZE, CELL = 40, 10
BRIGHT, DARK = 0, 1


def bright_and_dark() -> keras.Model:
    """Sees 4 x 4 cells. Every bright cell speaks for class 0, every dark one for class 1, and nothing else counts."""
    image = keras.Input((SIZE, SIZE, 1))
    grey = layers.AveragePooling2D(CELL)(image)
    places = layers.Concatenate()([grey, 1 - grey])
    maps = layers.Conv2D(2, 1, name="evidence", use_bias=False)(places)
    maps = maps - ops.mean(maps, axis=-1, keepdims=True)
    logits = layers.GlobalAveragePooling2D(name="logits")(maps)
    outputs = {"scores": layers.Softmax()(logits), "maps": maps, "features": ops.mean(places, axis=(1, 2))}
    network = keras.Model(image, outputs)
    network.get_layer("evidence").set_weights([np.eye(2, dtype=np.float32)[np.newaxis, np.newaxis]])
    return network


def one_bright_cell(row: int, column: int) -> np.ndarray:
    image = np.zeros((1, SIZE, SIZE, 1), np.float32)
    image[0, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = 1
    return image


@pytest.fixture(scope="module")
def known() -> Explained:
    return Explained(bright_and_dark())


@pytest.fixture(scope="module")
def untrained() -> Explained:
    keras.utils.set_random_seed(3)
    network = build_network(size=32, n_classes=3, stem=4, widths=[6, 8], blocks=[1, 1], dropout=0.1)
    network.get_layer("evidence").bias.assign([0.3, -0.2, 0.5])
    return Explained(network)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_one_place_that_made_the_score(known: Explained, method: str) -> None:
    heat = explain(known, np.concatenate([one_bright_cell(1, 2), one_bright_cell(3, 0)]), BRIGHT, method)
    cell = 224 // 4
    assert heat.shape == (2, 224, 224)
    assert heat.dtype == np.float32
    assert np.isfinite(heat).all()
    assert heat.min() == 0
    for one, (row, column) in zip(heat, [(1, 2), (3, 0)], strict=True):
        assert one.max() == 1
        rows, columns = np.nonzero(one == 1)
        assert set(rows // cell) == {row}
        assert set(columns // cell) == {column}


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_speaks_for_the_class_the_map_is_empty(known: Explained, method: str) -> None:
    assert not explain(known, np.zeros((1, SIZE, SIZE, 1), np.float32), BRIGHT, method).any()


def test_grad_cam_is_the_class_activation_map_without_the_bias(untrained: Explained) -> None:
    images = np.random.default_rng(1).random((3, 32, 32, 1), np.float32)
    bias = np.array([0.3, -0.2, 0.5])
    for label in range(3):
        cam = untrained.maps(images)[..., label]
        places = cam.shape[1] * cam.shape[2]
        without = grad_cam(untrained, images, label) * places
        np.testing.assert_allclose(without + bias[label] - bias.mean(), cam, rtol=1e-3, atol=1e-4)


def test_grad_cam_plus_plus_weighs_as_its_paper_says(known: Explained) -> None:
    # Written out for one bright cell of 16: only the channel of bright cells has a positive gradient.
    gradient, bright = 0.5 / 16, 1.0
    weight = 16 * gradient * gradient**2 / (2 * gradient**2 + bright * gradient**3)
    expected = np.zeros((4, 4))
    expected[1, 2] = weight
    np.testing.assert_allclose(
        grad_cam_plus_plus(known, one_bright_cell(1, 2), BRIGHT)[0], expected, rtol=1e-5
    )


def test_the_integrated_gradients_add_up_to_the_change_of_the_logit(untrained: Explained) -> None:
    from scipy import ndimage

    images = np.stack([drawing(n)[:32, :32] for n in range(4)])[..., np.newaxis].astype(np.float32) / 255
    start = ndimage.gaussian_filter(images, (0, 3.2, 3.2, 0))
    change = (untrained.logits(images) - untrained.logits(start))[:, 0]
    shared_out = integrated_gradients(untrained, images, 0).sum(axis=(1, 2))
    np.testing.assert_allclose(shared_out, change, atol=0.05 * np.abs(change).max())


def test_occlusion_gives_by_how_much_the_logit_falls(known: Explained) -> None:
    fall = occlusion(known, one_bright_cell(1, 2), BRIGHT)[0]
    # Squares of 10 around the middles of 8 x 8 cells of 5: 7 or 8 of the 10 rows and columns around the cell (2, 4), from
    # 7.5 to 17.5 and from 17.5 to 27.5, lie in the bright one; in the corner 7 or 8 lie in the image at all.
    assert fall.shape == (8, 8)
    assert set(zip(*np.nonzero(fall == fall.max()), strict=True)) <= {(2, 4), (2, 5), (3, 4), (3, 5)}
    assert (49 - 100 / 16) / SIZE**2 <= fall.max() <= (64 - 49 / 16) / SIZE**2
    assert -64 / 16 / SIZE**2 <= fall[7, 0] <= -49 / 16 / SIZE**2


def test_a_map_of_other_weights_is_another_map_and_of_the_same_weights_the_same(untrained: Explained) -> None:
    images = np.random.default_rng(2).random((1, 32, 32, 1), np.float32)
    network = untrained.network
    before = [weight.copy() for weight in network.get_weights()]
    last = controls.randomised(network, 1, "evidence")
    copies = [*(controls.randomised(network, seed) for seed in (1, 1, 2)), last, network]
    one, same, other, top, learnt = (copy(images, training=False)["maps"].numpy() for copy in copies)
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert not np.allclose(one, learnt)
    assert not np.allclose(top, learnt)
    np.testing.assert_array_equal(
        last.get_layer("stem").get_weights()[0], network.get_layer("stem").get_weights()[0]
    )
    for weight, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_the_pointing_game_counts_the_strongest_place_and_ties_against_the_map() -> None:
    outline = np.zeros((5, 4, 4), bool)
    outline[:, 1:3, 1:3] = True
    maps = np.zeros((5, 4, 4), np.float32)
    maps[0, 1, 1] = 1
    maps[1, 0, 0], maps[1, 1, 1] = 1, 0.9
    maps[2, 1, 1] = maps[2, 2, 2] = 1
    maps[3, 1, 1] = maps[3, 0, 0] = 1
    assert pointing(maps, outline).tolist() == [True, False, True, False, False]


def test_mass_inside_is_a_share_of_the_mass_and_an_empty_map_has_none() -> None:
    outline = np.zeros((2, 2, 2), bool)
    outline[:, 0, 0] = True
    maps = np.array([[[1, 2], [0, 1]], [[0, 0], [0, 0]]], np.float32)
    assert mass_inside(maps, outline).tolist() == [0.25, 0]


def test_a_tolerance_grows_an_outline_by_its_distance() -> None:
    outline = np.zeros((2, 9, 9), bool)
    outline[0, 4, 4] = True
    near = grown(outline, 2)
    assert near[0].sum() == 13
    assert not near[1].any()


def test_an_interval_draws_whole_patients() -> None:
    values = np.array([0, 1] * 20, float)
    apart = mean(values, np.arange(40))
    together = mean(values, np.repeat(np.arange(4), 10))
    assert apart["value"] == together["value"] == 0.5
    low, high = apart["interval_95"]
    assert 0.3 < low < 0.4
    assert 0.6 < high < 0.7
    assert together["interval_95"] == [0.5, 0.5]
    assert mean(values[:0], values[:0])["value"] is None


def test_the_best_of_two_chance_maps_looks_better_than_it_is_on_other_cases() -> None:
    random = np.random.default_rng(5)
    hits = {str(n): random.random(40) < 0.5 for n in range(8)}
    best = max(float(values.mean()) for values in hits.values())
    honest = chosen_on_the_other_half(hits, hits, np.arange(40))
    assert honest["pointing"] < best
    assert sum(honest["chosen"].values()) == pytest.approx(1)
    sure = chosen_on_the_other_half({"good": np.ones(10, bool), "bad": np.zeros(10, bool)}, hits | {
        "good": np.ones(10), "bad": np.zeros(10)}, np.arange(10))  # fmt: skip
    assert sure == {"pointing": 1.0, "chosen": {"good": 1.0}}


def cases_of(lesions: np.ndarray, lungs: np.ndarray, groups: list[int]) -> Cases:
    n = len(lesions)
    return Cases([str(i) for i in range(n)], [np.zeros((8, 8))] * n, lesions, lungs, [""] * n, np.array(groups),
                 np.zeros(n, bool))  # fmt: skip


def test_controls_know_no_more_than_they_say() -> None:
    lungs = np.zeros((3, 60, 60), bool)
    lungs[:, 10:50, 5:25] = lungs[:, 10:50, 35:59] = True
    lesions = np.zeros((3, 60, 60), bool)
    lesions[0, 40:50, 5:15] = lesions[1, 40:50, 5:15] = lesions[2, 10:20, 40:50] = True
    cases = cases_of(lesions, lungs, [0, 0, 1])
    assert np.argwhere(controls.centre(cases)[0]).tolist() == [[30, 30]]
    [[row, column]] = np.argwhere(controls.lungs_centroid(cases)[0])
    assert not lungs[0, row, column]
    deep = controls.depth_in_lung(cases)
    assert pointing(deep, lungs).all()
    # Two images of one patient: neither may tell where the other's lesion lies.
    fixed = controls.others_lesions(cases)
    assert pointing(fixed, lesions).tolist() == [False, False, False]
    assert pointing(fixed[:2], lesions[[2, 2]]).tolist() == [True, True]


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, Path, Path]:
    """Six dark drawings with one bright lesion each, a network that looks for brightness, and its folder, whose
    training held a copy of the second drawing.
    """
    data = tmp_path_factory.mktemp("outlined")
    root, training = data / "covid-segmentation", data / "COVID-19_Radiography_Dataset/COVID/images"
    for n, (row, column) in enumerate([(0, 0), (0, 1), (1, 3), (2, 0), (3, 1), (3, 3)]):
        inside = one_bright_cell(row, column)[0, ..., 0] > 0
        picture = np.where(inside, 250, np.array(Image.fromarray(drawing(n)).resize((SIZE, SIZE))) // 8)
        save(picture.astype(np.uint8), root / f"images/case-{n}.png")
        outline = Image.fromarray(inside).resize((224, 224), Image.Resampling.NEAREST)
        for kind in ("lesions", "lungs"):
            (root / kind).mkdir(exist_ok=True)
            outline.save(root / kind / f"case-{n}.png")
        if n == 1:
            save(picture.astype(np.uint8), training / "COVID-1.jpg", quality=90)
    save(drawing(77), training / "COVID-2.jpg")
    folder = tmp_path_factory.mktemp("zoo")
    network = bright_and_dark()
    network.save(folder / KERAS)
    rows = [
        (f"COVID-19_Radiography_Dataset/COVID/images/COVID-{n}.jpg", side)
        for n, side in ((1, "train"), (2, "test"))
    ]
    save_split(pd.DataFrame(rows, columns=["path", "split"]).assign(label="covid19", source="radiography_database",
               view="frontal", age_group="", group=0, sha256=""), folder / SPLIT)  # fmt: skip
    (folder / CARD).write_text(json.dumps({"files": file_digests(folder)}), encoding="utf-8")

    def run(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outputs = network(image, training=False)
        return tuple(outputs[name].numpy() for name in ("scores", "maps", "features"))

    card = {"labels": [{"code": "covid19"}, {"code": "normal"}]}
    model = ServedModel("tiny", "0", "", ["covid19", "normal"], {}, card, Preprocessing(size=SIZE), run)
    return model, folder, data


def test_scores_against_outlines_are_what_the_drawings_say(outlined: tuple[ServedModel, Path, Path]) -> None:
    model, folder, data = outlined
    figures = score_maps(model, folder, data, methods=["cam", "grad-cam"], seeds=[1])
    assert figures["cases"]["images"] == 6
    assert figures["cases"]["seen_in_training"] == ["case-1"]
    assert figures["cases"]["lung_outlines_in_training"] is False
    assert set(figures["maps"]) == {"grad-cam", *ShownMap.kinds(model.labels)}
    served = figures["maps"]["cam"]
    assert served["all"]["pointing"]["correct"] == 6
    assert served["not seen in training"]["pointing"]["total"] == 5
    assert served["labelled covid19"]["pointing"]["total"] == 0
    assert served["all"]["mass_in_lesions"]["value"] > 0.5
    assert served["all"]["mass_in_lesions"] == served["all"]["mass_in_lungs"]
    assert figures["controls"]["centre of the image"]["all"]["pointing"]["correct"] == 0
    assert figures["controls"]["any place"]["all"]["pointing"]["value"] == pytest.approx(1 / 16)
    assert len(figures["controls"]["random weights"]["all"]["pointing"]["by_seed"]) == 1
    assert set(figures["sanity"]) == set(figures["maps"])
    assert [line["seen_in_training"] for line in figures["per_case"]] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    json.dumps(figures)
    assert figures["served"] == "cam"
    assert figures["best"] in ShownMap.kinds(model.labels)
    assert "cam (served)" in table(figures)


def test_what_cannot_be_scored_is_said(outlined: tuple[ServedModel, Path, Path], tmp_path: Path) -> None:
    model, folder, data = outlined
    with pytest.raises(ValueError, match="no method x"):
        score_maps(model, folder, data, methods=["x"])
    with pytest.raises(ValueError, match="no class covid19"):
        score_maps(dataclasses.replace(model, labels=["a", "b"]), folder, data)
    with pytest.raises(FileNotFoundError, match="covid-segmentation"):
        read_cases(tmp_path)


def test_the_command_writes_the_served_map_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, text = tmp_path / "chest.png", tmp_path / "note.png"
    save(np.rint(draw_chest(1, rows=160, columns=144) * 255).astype(np.uint8), image)
    text.write_text("no image")
    out = tmp_path / "maps"
    assert main(["explain", str(image), str(text), "--out", str(out), "--json"]) == 0
    answer, refusal = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert refusal["status"] == "refused"
    assert main(["predict", str(image), "--heatmap-dir", str(tmp_path / "served")]) == 0
    np.testing.assert_array_equal(np.load(answer["heatmap"]), np.load(tmp_path / "served/chest.npy"))
    with Image.open(answer["overlay"]) as picture:
        assert (picture.size, picture.mode) == ((224, 224), "RGB")
    capsys.readouterr()
    arguments = ["--method", "grad-cam", "--label", "normal", "--out", str(out), "--json"]
    assert main(["explain", str(image), *arguments]) == 0
    other = json.loads(capsys.readouterr().out)
    assert (other["method"], other["explained"]) == ("grad-cam", "normal")
    heat = np.load(other["heatmap"])
    assert (heat.shape, heat.dtype) == ((224, 224), np.float32)
    save(drawing(1), tmp_path / "drawing.png")
    capsys.readouterr()
    for gate, status in (((), "refused"), (("--no-gate",), "ok")):
        assert main(["explain", str(tmp_path / "drawing.png"), "--out", str(out), "--json", *gate]) == 0
        assert json.loads(capsys.readouterr().out)["status"] == status
    assert main(["explain", str(image), "--label", "gout", "--out", str(out)]) == 2
    assert "no class gout" in capsys.readouterr().err


def test_the_command_offers_every_method_there_is() -> None:
    assert set(explain_command.METHODS) == set(METHODS)
