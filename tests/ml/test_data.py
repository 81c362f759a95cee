"""Importers, duplicates and the split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.data.duplicates import difference_hash, near_pairs, number_copies, number_groups, report
from ml.data.importers import SOURCES
from ml.data.manifest import add_hashes, list_images
from ml.data.split import TEST, TRAIN, VALIDATION, load_split, save_split, split, unseen_rows, usable
from tests.ml.conftest import drawing


@pytest.fixture(scope="module")
def manifest(drawn_data: Path) -> pd.DataFrame:
    return add_hashes(list_images(drawn_data, ["chest_xray", "radiography_database"]), drawn_data)


def test_the_file_name_tells_virus_from_bacterium_and_the_patient(drawn_data: Path) -> None:
    rows = SOURCES["chest_xray"].read(drawn_data).set_index("path")
    assert rows.loc["chest_xray/train/PNEUMONIA/person3_virus_7.jpeg", "label"] == "viral_pneumonia"
    assert rows.loc["chest_xray/train/PNEUMONIA/person3_virus_7.jpeg", "patient"] == "chest_xray/virus/3"
    assert rows.loc["chest_xray/test/PNEUMONIA/person1_bacteria_3.jpeg", "label"] == "bacterial_pneumonia"
    assert rows.loc["chest_xray/train/NORMAL/IM-0004-0001.jpeg", "label"] == "normal"
    assert len(rows) == 41


def test_the_metadata_table_gives_the_x_rays_that_are_there_once_each(drawn_data: Path) -> None:
    rows = SOURCES["covid_chestxray"].read(drawn_data).set_index("path")
    assert len(rows) == 8
    assert rows.loc["covid-chestxray-dataset/images/case-1.jpg", "label"] == "covid19"
    assert rows.loc["covid-chestxray-dataset/images/case-2.jpg", "label"] == "Streptococcus"
    assert rows.loc["covid-chestxray-dataset/images/lateral.jpg", "view"] == "lateral"


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="chest_xray"):
        list_images(tmp_path, ["chest_xray"])


def test_a_re_encoded_copy_is_found_and_a_stranger_is_not(tmp_path: Path) -> None:
    original = Image.fromarray(drawing(1))
    original.save(tmp_path / "copy.jpg", quality=60)
    small = original.resize((30, 30))
    hashes = [difference_hash(image) for image in
              (original, Image.open(tmp_path / "copy.jpg"), small, Image.fromarray(drawing(2)))]  # fmt: skip
    first, second = near_pairs(hashes)
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]


def test_pairs_at_the_limit_count_and_pairs_beyond_it_do_not() -> None:
    zero, at, beyond = "0" * 64, f"{(1 << 22) - 1:064x}", f"{((1 << 23) - 1) << 100:064x}"
    assert [pair.tolist() for pair in near_pairs([zero, at, beyond])] == [[0], [1]]


def test_groups_join_twins_and_patients_transitively() -> None:
    rows = pd.DataFrame(
        {"dhash": ["0" * 64, f"{1:064x}", "f" * 64, "a" * 64], "patient": ["", "one", "one", "two"]},
        index=[10, 20, 30, 40],
    )
    groups = number_groups(rows)
    assert groups[10] == groups[20] == groups[30] != groups[40]
    assert number_copies(rows)[20] != number_copies(rows)[30]


def test_the_report_counts_the_twins_between_the_sets(manifest: pd.DataFrame) -> None:
    counts = report(manifest)
    assert counts["images"] == 82
    assert counts["between"] == {
        "chest_xray and radiography_database": {"near_twin_images": 2, "copied_images": 2}
    }
    assert counts["within"]["radiography_database"] == {"near_twin_images": 0, "copied_images": 0}
    assert counts["conflicting_labels"]["near_twin_images"] == 0


def test_of_one_image_in_two_sets_the_first_listed_stays(manifest: pd.DataFrame) -> None:
    left_out = set(manifest["path"]) - set(usable(manifest)["path"])
    assert left_out == {"COVID-19_Radiography_Dataset/Normal/images/Normal-20.png"}


def test_an_image_whose_copies_bear_different_labels_is_not_used(manifest: pd.DataFrame) -> None:
    wrong = manifest.assign(
        label=manifest["label"].where(~manifest["path"].str.endswith("Normal-20.png"), "covid19")
    )
    assert report(wrong)["conflicting_labels"] == {"near_twin_images": 2, "copied_images": 2}
    paths = set(usable(wrong)["path"])
    assert "chest_xray/train/NORMAL/IM-0000-0001.jpeg" not in paths
    assert len(paths) == 80


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    shape=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=60, max_size=90),
)
def test_the_split_never_parts_a_group(seed: int, shape: list[tuple[int, int]]) -> None:
    rows = pd.DataFrame(
        [{"label": f"class {label}", "source": "one", "group": number}
         for number, (label, size) in enumerate(shape) for _ in range(size)]
    )  # fmt: skip
    sides = split(rows, seed=seed)
    assert (rows.assign(side=sides).groupby("group")["side"].nunique() == 1).all()
    assert set(sides) == {TRAIN, VALIDATION, TEST}
    assert sides.equals(split(rows, seed=seed))


def test_every_class_of_every_source_is_on_every_side(manifest: pd.DataFrame) -> None:
    rows = usable(manifest)
    rows = rows[rows["label"] != "bacterial_pneumonia"]
    sides = split(rows, seed=3)
    table = pd.crosstab(rows["label"] + rows["source"], sides)
    assert (table > 0).all(axis=None)
    assert (sides == TEST).mean() == pytest.approx(0.2, abs=0.05)


def test_the_stored_split_comes_back_and_the_same_rows_give_the_same_bytes(
    manifest: pd.DataFrame, tmp_path: Path
) -> None:
    rows = usable(manifest).assign(split=TEST)
    save_split(rows, tmp_path / "one.csv.gz")
    save_split(rows, tmp_path / "two.csv.gz")
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    loaded = load_split(tmp_path / "one.csv.gz")
    assert loaded["path"].tolist() == rows["path"].tolist()
    assert loaded["sha256"].tolist() == rows["sha256"].tolist()


def test_an_unseen_image_with_a_twin_or_a_patient_in_training_is_not_unseen(
    manifest: pd.DataFrame, drawn_data: Path
) -> None:
    hospitals = add_hashes(list_images(drawn_data, ["covid_chestxray"]), drawn_data)
    same_patient = hospitals["path"].str.endswith("case-2.jpg")
    hospitals.loc[same_patient, "patient"] = "covid_chestxray/90"
    left = set(unseen_rows(hospitals, manifest)["path"])
    gone = {Path(path).name for path in set(hospitals["path"]) - left}
    assert gone == {"seen-before.jpg", "case-2.jpg"}


def test_real_folders_hold_what_their_publishers_say(real_data: Path) -> None:
    rows = list_images(real_data, ["radiography_database", "chest_xray", "covid_chestxray"])
    counts = rows.groupby(["source", "label"]).size()
    assert counts["radiography_database", "covid19"] == 3616
    assert counts["radiography_database", "normal"] == 10192
    assert counts["chest_xray", "normal"] == 1341 + 234
    assert counts["chest_xray", "viral_pneumonia"] == 1345 + 148
    assert not rows["path"].duplicated().any()
    assert np.isin(rows["view"], ["frontal", "lateral"]).all()
