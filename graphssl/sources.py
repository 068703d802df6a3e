"""Where files come from: a read-only mirror, the cache, or a verified and atomic download."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from graphssl.errors import (
    ConfigurationError,
    CorruptFileError,
    DownloadError,
    GraphSSLError,
    MissingFileError,
    StorageError,
)

__all__ = ["atomic_write", "fetch", "find", "home", "mirror", "offline"]

_FALSE = {"", "0", "false", "no", "off"}


def home() -> Path:
    """The cache folder: ``GRAPHSSL_HOME``, or the user's cache folder of this system. It may not exist yet."""
    folder = os.environ.get("GRAPHSSL_HOME", "")
    if folder:
        return Path(folder).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("graphssl"))


def mirror() -> Path | None:
    """The read-only folder of raw files named by ``GRAPHSSL_MIRROR``, or None when it is unset or empty.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    """
    folder = os.environ.get("GRAPHSSL_MIRROR", "")
    if not folder:
        return None
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise MissingFileError(f"GRAPHSSL_MIRROR names {str(path)!r}, which is not a folder: correct or unset it")
    return path


def offline() -> bool:
    """Whether ``GRAPHSSL_OFFLINE`` forbids downloads. Empty, 0, false, no and off count as unset."""
    return os.environ.get("GRAPHSSL_OFFLINE", "").strip().lower() not in _FALSE


def find(relative_path: str, *, root: str | Path | None = None) -> Path | None:
    """The file in the mirror or else in the cache, not verified; None when it is in neither.

    Parameters
    ----------
    relative_path : str
        Path inside the mirror's layout, with forward slashes.
    root : path, optional
        Cache folder used instead of :func:`home`.
    """
    for path in _places(relative_path, root):
        if path.is_file():
            return path
    return None


def fetch(
    relative_path: str, urls: Sequence[str], sha256: str | None = None, *, root: str | Path | None = None
) -> Path:
    """A verified local path of a raw file: from the mirror, from the cache, or downloaded into the cache.

    Parameters
    ----------
    relative_path : str
        Path inside the mirror's layout, with forward slashes; the cache repeats it under ``raw/``.
    urls : sequence of str
        ``https`` addresses, tried in order; none when the file is published nowhere in this form.
    sha256 : str, optional
        Expected digest, checked wherever the file comes from. Without it a mirror's file is taken as it is, and a
        download is protected by TLS only: its digest is written beside it, so that later changes are noticed.
    root : path, optional
        Cache folder used instead of :func:`home`.

    Returns
    -------
    Path
        To be read in place and never written: it may lie in the mirror.

    Raises
    ------
    CorruptFileError
        If the file does not have the expected digest.
    DownloadError
        If it is in neither place and cannot or may not be downloaded.
    StorageError
        If the download could not be written.
    """
    found = find(relative_path, root=root)
    if found is not None:
        _verify(found, sha256 or _recorded(found))
        return found
    target = _places(relative_path, root)[-1]
    if not urls:
        raise DownloadError(
            f"{_absent(relative_path, root)}; no public address of it is known: put the file there, "
            "or set GRAPHSSL_MIRROR to a folder that holds it (docs/mirror.md tells the layout)"
        )
    if offline():
        raise DownloadError(f"{_absent(relative_path, root)}; GRAPHSSL_OFFLINE forbids downloading it")
    _download(urls, target, sha256, absent=_absent(relative_path, root))
    return target


def _places(relative_path: str, root: str | Path | None) -> list[Path]:
    folders = [mirror(), (home() if root is None else Path(root).expanduser().absolute()) / "raw"]
    return [folder / relative_path for folder in folders if folder is not None]


def _absent(relative_path: str, root: str | Path | None) -> str:
    looked = " and ".join(str(path) for path in _places(relative_path, root))
    hint = "" if mirror() else f" (GRAPHSSL_MIRROR is unset; a mirror holds it as {relative_path})"
    return f"no file at {looked}{hint}"


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        sha = hashlib.sha256()
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _recorded(path: Path) -> str | None:
    """The digest written at the first download, for files whose published digest is not known."""
    note = _record(path)
    words = note.read_text().split() if note.is_file() else []
    return words[0] if words else None


def _verify(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    try:
        found = _digest(path)
    except OSError as error:
        raise CorruptFileError(f"cannot read {path}: {error.strerror}; check the disk and permissions") from error
    if found != sha256:
        raise CorruptFileError(
            f"{path} is truncated or altered: sha256 {found[:12]}..., expected {sha256[:12]}...; "
            f"delete it (and {_record(path).name} if there is one) to fetch it again"
        )


def _download(urls: Sequence[str], target: Path, sha256: str | None, *, absent: str) -> None:
    failures = []
    for url in urls:
        if not url.startswith("https://"):
            raise ConfigurationError(f"downloads use https, got {url!r}")
        with atomic_write(target) as temporary:
            failure = _get(url, temporary, sha256)
            if failure is None:
                digest = _digest(temporary)
            else:
                failures.append(f"{url}: {failure}")
                temporary.unlink(missing_ok=True)
        if failure is None:
            if sha256 is None:
                with atomic_write(_record(target)) as temporary:
                    temporary.write_text(f"{digest}  {target.name}\n")
            return
    raise DownloadError(
        f"{absent}; downloading failed ({'; '.join(failures)}): "
        "check the connection, or set GRAPHSSL_MIRROR to a folder that holds the file"
    )


def _get(url: str, path: Path, sha256: str | None) -> str | None:
    """Download and verify one file; the reason in one line when that fails."""
    import pooch

    try:
        pooch.HTTPDownloader(timeout=60)(url, str(path), None)
    except Exception as error:  # requests, urllib3 and ssl each raise their own
        if _is_full(error):
            raise
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    digest = _digest(path) if sha256 else None
    return None if digest == sha256 else f"sha256 {str(digest)[:12]}..., expected {str(sha256)[:12]}..."


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Yields a temporary path in the same folder (same suffix; the folder is made when missing). When the block ends
    without an exception the file written there replaces ``path`` in one step; otherwise it is removed and whatever
    stood at ``path`` before is untouched. A block that writes nothing changes nothing.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.exists():
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except GraphSSLError:
        raise
    except Exception as error:
        if not _is_storage_failure(error):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}; what was there before is unchanged: free space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):  # absent, or its folder could not be made
            temporary.unlink()


def _is_full(error: BaseException) -> bool:
    """Whether the disk is full, also when a compiled writer reports it in words of its own."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    words = ("No space left", "os error 28", "os error 27", "PytorchStreamWriter failed", "file write failed")
    return getattr(error, "errno", None) in full or any(word in str(error) for word in words)


def _is_storage_failure(error: BaseException) -> bool:
    return _is_full(error) or (isinstance(error, OSError) and error.errno is not None)
