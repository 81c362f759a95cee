"""Keys and passwords: whole, once, and for the owner alone."""

from concurrent.futures import ThreadPoolExecutor

from cxr_portal.private_files import read_or_create, write_private


def test_what_is_written_is_for_the_owner_alone(tmp_path):
    path = tmp_path / "new" / "accounts.txt"

    write_private(path, "secret\n")

    assert path.read_text() == "secret\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_file_is_replaced_whole(tmp_path):
    path = tmp_path / "accounts.txt"
    path.write_text("older and longer")
    path.chmod(0o644)

    write_private(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    path = tmp_path / "key"
    numbers = iter(range(100))

    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: read_or_create(path, lambda: str(next(numbers))), range(64)))

    assert len(keys) == 1
    assert keys == {path.read_text()}
    assert list(tmp_path.iterdir()) == [path]
