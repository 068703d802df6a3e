import pytest

from graphssl.bench import ResultStore, read_results
from graphssl.errors import CorruptFileError, GraphSSLError, MissingFileError, StorageError


def row(seed, *, metric="accuracy", status="ok", key="a"):
    return {"config_hash": key, "seed": seed, "metric": metric, "status": status}


def test_rows_come_back_in_order(tmp_path):
    store = ResultStore(tmp_path)
    store.append([row(0), row(1)])
    store.append([row(2)])
    assert read_results(tmp_path) == [row(0), row(1), row(2)]
    assert ResultStore(tmp_path).rows == store.rows


def test_half_a_line_is_moved_aside_and_nothing_else_is_lost(tmp_path):
    ResultStore(tmp_path).append([row(0), row(1), row(2)])
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-15])
    assert read_results(tmp_path) == [row(0), row(1)]  # a reader leaves it alone
    assert path.read_bytes() == whole[:-15]
    store = ResultStore(tmp_path)
    assert store.rows == [row(0), row(1)]
    half = (tmp_path / "results.truncated").read_bytes()
    assert whole.splitlines()[2].startswith(half.strip())
    store.append([row(2)])
    assert path.read_bytes() == whole


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    ResultStore(tmp_path).append([row(0), row(1)])
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    store = ResultStore(tmp_path)
    store.append([row(2)])
    assert read_results(tmp_path) == [row(0), row(1), row(2)]
    assert not (tmp_path / "results.truncated").exists()


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    ResultStore(tmp_path).append([row(0), row(1)])
    path = tmp_path / "results.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{{half\n{second}\n")
    with pytest.raises(CorruptFileError, match="line 2"):
        read_results(tmp_path)


def test_a_missing_file_is_typed(tmp_path):
    with pytest.raises(MissingFileError, match=r"results\.jsonl"):
        read_results(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_results(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        ResultStore(tmp_path / "file" / "results")
    assert issubclass(StorageError, GraphSSLError)


def test_done_counts_rows_and_looks_at_the_newest_attempt(tmp_path):
    store = ResultStore(tmp_path)
    assert not store.done("a", 0)
    store.append([row(0, metric="nmi")])
    assert store.done("a", 0)
    assert not store.done("a", 0, expected=2)  # killed between two rows
    store.append([row(0, metric="nmi"), row(0, metric="ari")])
    assert store.done("a", 0, expected=2)
    assert not store.done("b", 0)
    assert not store.done("a", 1)
    store.append([row(0, status="failed")])
    assert not store.done("a", 0)


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError):
        ResultStore(tmp_path).append([row(0), {"value": float("nan")}])
    assert not (tmp_path / "results.jsonl").exists()
