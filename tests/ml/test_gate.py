"""The input gate: what it lets through, what it refuses, and for which reason."""

import importlib
import json
import shutil
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.data.manifest import read_grey
from ml.gate import drawings
from ml.gate.drawings import SIDE, SIZE
from ml.gate.evaluate import made_kinds, wrongly_refused
from ml.gate.kinds import CLASSES, FRONTAL, KINDS, Kind, Material, photograph
from ml.gate.pictures import (
    given_files,
    labels_of,
    make_pictures,
    phantoms,
    photographs,
    split_frontal,
    to_bytes,
)
from ml.imaging import REFUSALS, ImageRefused, load_image, refusal
from ml.phantom import Variant, draw_chest, write_demo_set
from ml.preprocessing import Preprocessing
from ml.serving import Gate, ModelIntegrityError, default_gate_folder, load_gate
from ml.serving.gate import REASONS

CHEST = draw_chest(11, rows=256, columns=240)


@pytest.fixture(scope="module")
def gate() -> Gate:
    return load_gate()


@pytest.fixture(scope="module")
def material() -> Material:
    """Drawn chests in place of real ones, so that this runs where no data set is."""
    square = Preprocessing(size=SIDE).square
    drawn = [draw_chest(20 + n, variant=list(Variant)[n % 3], rows=160, columns=150) for n in range(6)]
    return Material(np.stack([to_bytes(square(chest)) for chest in drawn]), photographs("test"))


def code_of(gate: Gate, pixels: np.ndarray) -> str | None:
    refused = gate.refusal_of(pixels)
    return None if refused is None else refused.code


def test_an_upright_drawn_chest_of_every_variant_and_size_passes(gate: Gate) -> None:
    for seed, variant in enumerate(list(Variant) * 4):
        for rows, columns in ((128, 128), (256, 256), (320, 300), (512, 480)):
            assert gate.check(draw_chest(500 + seed, variant=variant, rows=rows, columns=columns)) is None


def test_every_file_of_the_demonstration_passes(gate: Gate, tmp_path: Path) -> None:
    for path in write_demo_set(tmp_path, 24, rows=300, columns=260):
        assert code_of(gate, load_image(path).pixels) is None, path.name


@pytest.mark.parametrize(("quarters", "degrees"), [(3, 90), (2, 180), (1, 270)])
def test_a_turned_chest_is_refused_with_the_degrees_it_is_turned_by(
    gate: Gate, quarters: int, degrees: int
) -> None:
    for seed in range(30, 36):
        with pytest.raises(ImageRefused) as refused:
            gate.check(np.rot90(draw_chest(seed, rows=256, columns=240), quarters))
        assert refused.value.code == "turned"
        assert f"by {degrees} degrees clockwise" in str(refused.value)
        assert "Turn it upright" in str(refused.value)


def test_a_chest_with_black_and_white_swapped_is_refused_as_inverted(gate: Gate) -> None:
    for seed in range(30, 36):
        assert code_of(gate, 1 - draw_chest(seed, rows=256, columns=240)) == "inverted"


def test_what_is_certain_is_refused_by_rule(gate: Gate) -> None:
    limit = gate.rules.shorter_side
    assert code_of(gate, CHEST[:, : limit - 1]) == "too_small"
    assert code_of(gate, np.tile(CHEST, (3, 1))) == "odd_shape"
    for grey in (0.0, 0.5, 1.0):
        assert code_of(gate, np.full((300, 300), grey, np.float32)) == "plain"
    almost = 0.4 + 0.01 * np.random.default_rng(1).random((300, 300), dtype=np.float32)
    assert code_of(gate, almost) == "plain"


def test_the_sentence_of_a_size_names_the_size_and_the_limit(gate: Gate) -> None:
    sentence = str(gate.refusal_of(CHEST[:90, :100]))
    assert "100 x 90 pixels" in sentence
    assert f"at least {gate.rules.shorter_side}" in sentence


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_kind_of_picture_that_is_no_frontal_chest_is_refused(
    gate: Gate, material: Material, kind: Kind
) -> None:
    if kind.family == "photograph" and not material.photographs:
        pytest.fail("scikit-learn, Matplotlib and PyWavelets are requirements and ship photographs")
    pictures, _ = make_pictures([kind], material, 12, seed=9)
    refused = [gate.refusal_of_square(picture.astype(np.float32) / 255) is not None for picture in pictures]
    # Of a drawn chest, all even and symmetric, a little stays recognisable in what was made of it.
    assert sum(refused) >= (7 if kind.family in ("part", "damaged", "surrounded") else 12)


def test_pictures_of_the_real_world_are_refused(gate: Gate) -> None:
    random = np.random.default_rng(2)
    for number in range(20):
        piece = photograph(Material(np.zeros((0, SIDE, SIDE), np.uint8), photographs("test")), random)
        assert code_of(gate, np.kron(piece, np.ones((3, 3), np.float32))) is not None, number


def test_every_reason_has_its_sentence_and_every_class_its_reason() -> None:
    assert set(CLASSES) == {FRONTAL, *REASONS}
    for code, details in REASONS.values():
        fields = {name for _, name, _, _ in string.Formatter().parse(REFUSALS[code]) if name}
        assert fields == set(details)
        assert "or open it without AI." in str(refusal(code, **details))


def test_the_class_with_the_highest_score_gives_the_reason() -> None:
    answers = dict.fromkeys(CLASSES, 0.0)
    for label, (code, details) in REASONS.items():
        gate = fake_gate({**answers, FRONTAL: 0.3, label: 0.7})
        refused = gate.refusal_of(CHEST)
        assert refused is not None
        assert (refused.code, str(refused)) == (code, str(refusal(code, **details)))
    assert fake_gate({**answers, FRONTAL: 0.6, "lateral": 0.4}).refusal_of(CHEST) is None


def fake_gate(scores: dict[str, float]) -> Gate:
    """The committed gate's rules over a network that always gives these scores."""

    class Session:
        def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.array([[scores[label] for label in CLASSES]], np.float32)]

    committed = load_gate()
    parts = {**vars(committed), "classes": list(CLASSES), "session": Session(), "least_frontal": 0.5}
    return Gate(**parts)


def test_an_answer_that_is_not_finite_is_an_error_and_no_pass() -> None:
    with pytest.raises(RuntimeError):
        fake_gate({**dict.fromkeys(CLASSES, 0.0), FRONTAL: float("nan")}).check(CHEST)


def test_pixels_that_are_no_image_are_an_error_of_the_caller(gate: Gate) -> None:
    for pixels in (
        np.zeros((4, 4, 3)),
        np.zeros((0, 9)),
        np.full((200, 200), 2.0),
        np.full((200, 200), np.nan),
    ):
        with pytest.raises(ValueError):
            gate.check(pixels)


def test_whatever_the_pixels_the_gate_answers_and_answers_the_same_again(gate: Gate) -> None:
    random = np.random.default_rng(5)
    for _ in range(40):
        rows, columns = random.integers(1, 400, 2)
        pixels = random.random((rows, columns), dtype=np.float32) ** random.uniform(0.2, 5)
        first, again = code_of(gate, pixels), code_of(gate, pixels.copy())
        assert first == again
        assert first in REFUSALS


def test_a_chest_exported_another_way_still_passes(gate: Gate) -> None:
    ways: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda chest: chest**0.7,
        lambda chest: chest**1.4,
        lambda chest: 0.3 + 0.3 * chest,
        lambda chest: chest[10:-10, 8:-8],
        lambda chest: np.pad(chest, 12),
        lambda chest: np.pad(chest, ((0, 0), (30, 30))),
        lambda chest: np.round(chest * 31) / 31,
    ]
    for number, way in enumerate(ways):
        passed = [
            code_of(gate, way(draw_chest(seed, rows=256, columns=240)).astype(np.float32))
            for seed in range(6)
        ]
        assert passed == [None] * 6, number


def test_an_altered_gate_is_refused_and_so_is_a_classifier(tmp_path: Path, committed: Path) -> None:
    copy = shutil.copytree(default_gate_folder(), tmp_path / "gate")
    card = json.loads((copy / "card.json").read_text())
    (copy / "model.onnx").write_bytes(b"other")
    with pytest.raises(ModelIntegrityError):
        load_gate(copy)
    assert card["kind"] == "gate"
    with pytest.raises(ModelIntegrityError, match="not a gate"):
        load_gate(committed)


def test_the_committed_gate_is_small_and_its_card_holds_what_was_measured() -> None:
    folder = default_gate_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 2_000_000
    card = json.loads((folder / "card.json").read_text())
    assert set(card["data"]["kinds"]) == set(KINDS)
    assert all(entry["origin"] and entry["licence"] for entry in card["data"]["kinds"].values())
    assert set(card["figures"]["kinds"]) == set(KINDS)
    assert card["figures"]["frontal"]["all"]["refused"]["value"] <= 0.02
    assert card["figures"]["other_than_frontal"]["refused"]["value"] >= 0.99
    assert all(entry["refused"]["value"] >= 0.85 for entry in card["figures"]["kinds"].values())


def test_the_committed_gate_judges_real_test_images_as_its_card_says(gate: Gate, real_data: Path) -> None:
    from ml.gate.evaluate import held_out_rows

    rows = held_out_rows(default_gate_folder())
    sample = rows[rows["split"] == "test"].sort_values("sha256")[::25]
    pixels = [read_grey((real_data / path).read_bytes()) for path in sample["path"]]
    refused = wrongly_refused(
        sample["sources"].to_numpy(dtype=str), [gate.refusal_of(image) for image in pixels]
    )
    assert refused["all"]["refused"]["value"] <= 0.03
    square = Preprocessing(size=SIDE).square
    material = Material(np.stack([to_bytes(square(image)) for image in pixels]), photographs("test"))
    figures = made_kinds(gate, material, count=4)
    assert sum(entry["refused"]["correct"] for entry in figures.values()) >= 0.97 * 4 * len(figures)


def test_real_files_in_dicom_pass(gate: Gate, real_data: Path) -> None:
    files = sorted((real_data / "dicom").glob("*.dcm"))
    assert files
    for path in files:
        assert code_of(gate, load_image(path).pixels) is None, path.name


def test_a_picture_depends_on_seed_kind_and_number_alone(material: Material) -> None:
    first, second = KINDS["scrambled"], KINDS["lateral"]
    both, names = make_pictures([first, second], material, 3, seed=4)
    alone, _ = make_pictures([second], material, 3, seed=4)
    assert np.array_equal(both[names == "lateral"], alone)
    assert both.shape == (6, SIZE, SIZE)
    assert both.dtype == np.uint8
    other, _ = make_pictures([second], material, 3, seed=5)
    assert not np.array_equal(alone, other)
    assert labels_of(names).tolist() == [CLASSES.index("damaged")] * 3 + [CLASSES.index("lateral")] * 3


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_makes_different_grey_pictures(material: Material, kind: Kind) -> None:
    made = [kind.make(material, np.random.default_rng(n)) for n in range(4)]
    for picture in made:
        assert picture.ndim == 2
        assert np.isfinite(picture).all()
        assert picture.min() >= 0
        assert picture.max() <= 1
    assert not np.array_equal(made[0], made[1])


def test_drawings_are_of_the_size_that_they_say() -> None:
    for name in ("lateral_chest", "axial_chest", "hand", "text_page"):
        picture = getattr(importlib.import_module(drawings.__name__), name)(np.random.default_rng(1))
        assert picture.shape == (SIDE, SIDE)
        assert picture.dtype == np.float32


def test_no_drawn_chest_of_one_side_is_drawn_on_another() -> None:
    sides = [phantoms(side, 4) for side in ("train", "validation", "test")]
    flat = [picture.tobytes() for side in sides for picture in side]
    assert len(set(flat)) == 12


def test_whole_groups_and_every_source_of_a_twin_stay_together() -> None:
    import pandas as pd

    random = np.random.default_rng(3)
    n = 400
    group = random.integers(0, 150, n)
    manifest = pd.DataFrame(
        {
            "group": group,
            "image": np.where(random.random(n) < 0.2, group, 1000 + np.arange(n)),
            "source": random.choice(["a", "b"], n),
            "label": "x",
        }
    )
    rows = split_frontal(manifest, seed=1)
    assert rows["image"].is_unique
    assert (rows.groupby("group")["split"].nunique() == 1).all()
    assert set(rows["split"]) == {"train", "validation", "test"}
    for number, names in rows.groupby("group")["sources"].first().items():
        assert names.split() == sorted(set(manifest.loc[manifest["group"] == number, "source"]))


def test_a_given_negative_and_its_copy_fall_on_the_same_side(tmp_path: Path) -> None:
    for number in range(40):
        picture = Image.fromarray(np.full((8, 8), number, np.uint8))
        picture.save(tmp_path / f"{number}.png")
        picture.save(tmp_path / f"copy-{number}.png")
    learned = {path.stem.removeprefix("copy-") for path in given_files(tmp_path, test=False)}
    kept = {path.stem.removeprefix("copy-") for path in given_files(tmp_path, test=True)}
    assert learned | kept == {str(number) for number in range(40)}
    assert not learned & kept
    assert kept


def test_an_image_with_twins_counts_in_each_of_their_sources() -> None:
    refused = [None, refusal("plain"), None]
    figures = wrongly_refused(np.array(["a", "a b", "b"]), refused)
    assert figures["all"]["refused"]["correct"] == 1
    assert figures["all"]["codes"] == {"plain": 1}
    assert {name: (entry["correct"], entry["total"]) for name, entry in figures["by_source"].items()} == {
        "a": (1, 2),
        "b": (1, 2),
    }
