"""Download of one large file over HTTP, resumed when it is interrupted, and checked.

What has come so far lies beside the target, as ``<name>.partial``. A later call goes on from there,
if the server takes a range, and from the start if it does not.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

log = logging.getLogger(__name__)

ZENODO = "https://zenodo.org"
Progress = Callable[[str, int, int], None]
"""Called with what is being done (``download``, ``check`` …), the bytes of it done, and all."""

_CHUNK = 1 << 16  # where a connection breaks, what came of a chunk is lost
_TIMEOUT_S = (20, 60)  # to connect, and between two parts of the answer
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class DownloadError(OSError):
    """A file that cannot be had; the message is a sentence for people."""


class _TryAgainError(Exception):
    """Failure after which another attempt may succeed, perhaps once the wait asked for is over."""

    wait_s = 0


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, and how to tell that it came whole."""

    url: str
    size_bytes: int
    md5: str


def zenodo_file(record: int, name: str, base_url: str = ZENODO, attempts: int = 5) -> RemoteFile:
    """Ask Zenodo where a file of a record is, how large it is, and for its checksum.

    Raises:
        DownloadError: if there is no answer, or no such file in it.
    """
    base_url = base_url.rstrip("/")
    url, page = f"{base_url}/api/records/{record}", f"{base_url}/records/{record}"

    def ask() -> Any:
        with _get(url) as answer:
            if answer.status_code in (401, 403, 404, 410):
                raise DownloadError(
                    f"{url} answers {answer.status_code}: the record is not public (any more), "
                    f"see {page}"
                )
            _refuse(answer)
            try:
                return answer.json()
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                raise _TryAgainError(_reason(error)) from error

    try:
        entries = _persist(ask, url, attempts)["files"]
        entry = next(entry for entry in entries if entry["key"] == name)
        kind, _, checksum = entry["checksum"].rpartition(":")
        if kind not in ("md5", ""):
            raise DownloadError(f"{url} has no md5 checksum of {name}, but {entry['checksum']}")
        links = entry["links"]
        return RemoteFile(links.get("content") or links["self"], int(entry["size"]), checksum)
    except StopIteration:
        raise DownloadError(f"record {record} has no file {name}, see {page}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DownloadError(
            f"{url} does not list its files in a known form ({error!r}); download {name} from "
            f"{page} by hand"
        ) from error


def download(
    remote: RemoteFile, target: Path, *, attempts: int = 5, progress: Progress | None = None
) -> Path:
    """Download a file, or the rest of it, and check it; return the target.

    That appears under its name only once it is whole and checked. One that is there already is
    checked, and kept if it is right. So many attempts in a row may bring nothing before this gives
    up; between them it waits 1, 2, 4 … s, or as long as the server asks for.

    Raises:
        DownloadError: if the file cannot be had, the disk is full, or the checksum is wrong twice.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, got {attempts}")
    if target.exists():
        _check(remote, target, progress, "move it away to download it again")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    resumed = partial.is_file() and partial.stat().st_size > 0
    try:
        while True:
            if size_of(partial) < remote.size_bytes:
                need_space(partial.parent, remote.size_bytes - size_of(partial), target.name)
                _persist(lambda: _fetch(remote, partial, progress), remote.url, attempts, partial)
            try:
                _check(remote, partial, progress, "it was removed: try again")
            except DownloadError:
                partial.unlink()
                if not resumed:
                    raise
                # The beginning may be of another version of the file, or of a crash.
                log.warning("%s: wrong checksum after a resumed download; once more", target)
                resumed = False
                continue
            partial.replace(target)
            return target
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(
            f"cannot write {partial}: {error.strerror or error}; {_kept(partial)}"
        ) from error


def need_space(folder: Path, n_bytes: int, what: str) -> None:
    """Refuse to begin what the disk has no room for."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise DownloadError(
            f"{what} needs {n_bytes / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free"
        )


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _fetch(remote: RemoteFile, partial: Path, progress: Progress | None) -> None:
    """One attempt to get what is missing; raises `_TryAgainError` if not all of it came."""
    n_had = size_of(partial)
    with _get(remote.url, {"Range": f"bytes={n_had}-"} if n_had else {}) as answer:
        if answer.status_code == 416 or (
            answer.status_code == 206
            and not answer.headers.get("Content-Range", "").startswith(f"bytes {n_had}-")
        ):
            partial.unlink()  # the server has another range than was asked for
            raise _TryAgainError(f"no range from {n_had} on")
        _refuse(answer)
        if answer.status_code == 200:
            n_had = 0  # all of it: the server has no ranges
        with open(partial, "ab" if n_had else "wb") as file:
            try:
                for chunk in answer.iter_content(_CHUNK):
                    n_had += len(chunk)
                    if n_had > remote.size_bytes:
                        raise DownloadError(
                            f"{remote.url} sends more than the {remote.size_bytes} bytes announced"
                        )
                    file.write(chunk)
                    if progress is not None:
                        progress("download", n_had, remote.size_bytes)
            except requests.RequestException as error:
                raise _TryAgainError(_reason(error)) from error
    if n_had < remote.size_bytes:
        raise _TryAgainError(f"the answer ends after {n_had} of {remote.size_bytes} bytes")


def _check(remote: RemoteFile, path: Path, progress: Progress | None, advice: str) -> None:
    n_done, digest = 0, hashlib.md5(usedforsecurity=False)
    if size_of(path) != remote.size_bytes:
        raise DownloadError(
            f"{path} has {size_of(path)} bytes, not {remote.size_bytes} as announced; {advice}"
        )
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            n_done += len(chunk)
            if progress is not None:
                progress("check", n_done, remote.size_bytes)
    if digest.hexdigest() != remote.md5:
        raise DownloadError(
            f"{path} has the checksum {digest.hexdigest()}, not {remote.md5} as announced; {advice}"
        )


def _persist(attempt: Callable[[], Any], url: str, attempts: int, partial: Path = Path()) -> Any:
    """Repeat an attempt while it is interrupted, unless too many in a row brought nothing."""
    n_failed, most = 0, size_of(partial)
    while True:
        try:
            return attempt()
        except _TryAgainError as error:
            # A server without ranges starts anew each time: only what was never had counts.
            n_failed = 1 if size_of(partial) > most else n_failed + 1
            most = max(most, size_of(partial))
            if n_failed >= attempts:
                raise DownloadError(
                    f"{url}: gave up after {n_failed} attempt(s) in a row that brought nothing new "
                    f"({error}); {_kept(partial)}"
                ) from error
            wait_s = error.wait_s or 2 ** (n_failed - 1)
            log.warning("%s: %s; trying again in %d s", url, error, wait_s)
            time.sleep(wait_s)


def _kept(partial: Path) -> str:
    if not size_of(partial):
        return "try again later"
    return f"what came so far is kept in {partial}: the same again continues it"


def _get(url: str, headers: dict[str, str] | None = None) -> requests.Response:
    # Compressed on the way, a file could not be continued by its offset.
    headers = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _TryAgainError(_reason(error)) from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_reason(error)}") from error


def _refuse(answer: requests.Response) -> None:
    """Raise for an answer that is no file: one to ask for again, or one that is final."""
    status = answer.status_code
    text = f"the server answers {status} {answer.reason or ''}".rstrip()
    if status in _PASSING:
        again = _TryAgainError(text)
        wait = answer.headers.get("Retry-After", "")
        again.wait_s = min(int(wait), 300) if wait.isdecimal() else 0
        raise again
    if status not in (200, 206):
        raise DownloadError(f"{answer.url}: {text}")


def _reason(error: Exception) -> str:
    """Cause of an error, without the layers of exceptions around it."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return str(inner) or type(inner).__name__
