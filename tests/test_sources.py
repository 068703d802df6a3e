import errno
import os
import subprocess
import sys

import pooch
import pytest

from graphssl import sources
from graphssl.errors import (
    ConfigurationError,
    CorruptFileError,
    DownloadError,
    GraphSSLError,
    MissingFileError,
    StorageError,
)

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # sha256 of b"hello"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.delenv("GRAPHSSL_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture
def web(monkeypatch):
    """Addresses and what they serve: bytes, or an exception; every request is logged."""
    served, log = {}, []

    class Downloader:
        def __init__(self, **options):
            pass

        def __call__(self, url, output_file, pooch):
            log.append(url)
            content = served[url]
            if isinstance(content, Exception):
                with open(output_file, "wb") as file:
                    file.write(b"hal")
                raise content
            with open(output_file, "wb") as file:
                file.write(content)

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    served["log"] = log
    return served


def put(folder, content=b"hello"):
    path = folder / "a/b.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_environment(places, monkeypatch):
    assert sources.home() == places / "home"
    assert sources.mirror() == places / "mirror"
    assert not sources.offline()
    monkeypatch.setenv("GRAPHSSL_MIRROR", "")
    monkeypatch.setenv("GRAPHSSL_HOME", "")
    assert sources.mirror() is None
    assert "graphssl" in str(sources.home())
    for value, expected in [("1", True), ("true", True), ("0", False), ("", False), ("off", False)]:
        monkeypatch.setenv("GRAPHSSL_OFFLINE", value)
        assert sources.offline() is expected


def test_missing_mirror_folder(places, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(places / "nowhere"))
    with pytest.raises(MissingFileError, match="GRAPHSSL_MIRROR"):
        sources.mirror()


def test_mirror_before_cache_before_network(places, web):
    web["https://x/b.txt"] = b"hello"
    downloaded = sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO)
    assert downloaded == places / "home/raw/a/b.txt"
    assert downloaded.read_bytes() == b"hello"
    assert sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO) == downloaded
    assert web["log"] == ["https://x/b.txt"]
    in_mirror = put(places / "mirror")
    assert sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO) == in_mirror
    assert os.listdir(in_mirror.parent) == ["b.txt"]


def test_root_replaces_home(places, web):
    web["https://x/b.txt"] = b"hello"
    path = sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO, root=places / "elsewhere")
    assert path == places / "elsewhere/raw/a/b.txt"
    assert not (places / "home").exists()


@pytest.mark.parametrize("place", ["mirror", "home/raw"])
def test_wrong_digest_of_a_local_file(places, place):
    path = put(places / place, b"hell")
    with pytest.raises(CorruptFileError, match=r"delete it") as error:
        sources.fetch("a/b.txt", [], HELLO)
    assert str(path) in str(error.value)


def test_next_address_when_one_fails(places, web):
    web |= {"https://x/b.txt": ConnectionError("no route"), "https://y/b.txt": b"hell", "https://z/b.txt": b"hello"}
    path = sources.fetch("a/b.txt", ["https://x/b.txt", "https://y/b.txt", "https://z/b.txt"], HELLO)
    assert path.read_bytes() == b"hello"
    assert len(web["log"]) == 3


def test_failed_download_leaves_nothing(places, web):
    web |= {"https://x/b.txt": ConnectionError("no route"), "https://y/b.txt": b"hell"}
    with pytest.raises(DownloadError, match=r"no route.*sha256"):
        sources.fetch("a/b.txt", ["https://x/b.txt", "https://y/b.txt"], HELLO)
    assert list((places / "home/raw/a").iterdir()) == []


def test_offline_names_the_mirror_path(places, monkeypatch, web):
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    with pytest.raises(DownloadError, match="GRAPHSSL_OFFLINE") as error:
        sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO)
    assert str(places / "mirror/a/b.txt") in str(error.value)
    assert web["log"] == []
    assert isinstance(error.value, GraphSSLError)


@pytest.mark.parametrize("offline", ["", "1"])
def test_no_known_address_names_the_mirror_path(places, monkeypatch, web, offline):
    monkeypatch.setenv("GRAPHSSL_OFFLINE", offline)
    with pytest.raises(DownloadError, match=r"no public address.*GRAPHSSL_MIRROR") as error:
        sources.fetch("a/b.txt", [])
    assert str(places / "mirror/a/b.txt") in str(error.value)
    assert web["log"] == []


def test_only_tls(web):
    with pytest.raises(ConfigurationError, match="https"):
        sources.fetch("a/b.txt", ["http://x/b.txt"], HELLO)


def test_first_download_without_a_digest_is_remembered(places, web):
    web["https://x/b.txt"] = b"hello"
    path = sources.fetch("a/b.txt", ["https://x/b.txt"])
    assert HELLO in (path.parent / "b.txt.sha256").read_text()
    assert sources.fetch("a/b.txt", []) == path
    path.write_bytes(b"hallo")
    with pytest.raises(CorruptFileError, match=r"b\.txt\.sha256"):
        sources.fetch("a/b.txt", [])


def test_full_disk_during_a_download(places, web):
    web["https://x/b.txt"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(StorageError, match="No space left"):
        sources.fetch("a/b.txt", ["https://x/b.txt"], HELLO)
    assert list((places / "home/raw/a").iterdir()) == []


def test_atomic_write_replaces_whole(places):
    path = places / "new/folder/file.npz"
    for content in ("one", "two"):
        with sources.atomic_write(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".npz"
            temporary.write_text(content)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == content
    assert os.listdir(path.parent) == ["file.npz"]


def write_and_fail(path, failure):
    with sources.atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise failure


FAILURES = [
    OSError(errno.ENOSPC, "No space left on device"),
    RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/0"),
    Exception("I/O error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["python", "torch", "safetensors"])
def test_full_disk_leaves_the_old_file(places, failure):
    path = places / "file"
    path.write_text("old")
    with pytest.raises(StorageError, match="unchanged") as error:
        write_and_fail(path, failure)
    assert isinstance(error.value, OSError)
    assert path.read_text() == "old"
    assert sorted(os.listdir(places)) == ["file", "mirror"]


def test_other_exceptions_pass_and_leave_the_old_file(places):
    path = places / "file"
    path.write_text("old")
    for failure in (KeyboardInterrupt(), ZeroDivisionError()):
        with pytest.raises(type(failure)):
            write_and_fail(path, failure)
    assert path.read_text() == "old"
    assert sorted(os.listdir(places)) == ["file", "mirror"]


def test_folder_that_cannot_be_made(places):
    (places / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"), sources.atomic_write(places / "file/inside"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="limits file sizes as Linux does")
def test_real_write_failure_leaves_the_old_file(places):
    code = (
        "import resource, numpy as np\n"
        "from graphssl.sources import atomic_write; from graphssl.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with atomic_write('f.npz') as t: np.savez(t, a=np.zeros(10000))\n"
        "except StorageError as e: print('storage:', e)\n"
    )
    (places / "f.npz").write_text("old")
    run = subprocess.run([sys.executable, "-c", code], cwd=places, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("storage: cannot write f.npz: File too large")
    assert (places / "f.npz").read_text() == "old"
