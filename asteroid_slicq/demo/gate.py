"""The gate of the page: which requests pass to Gradio, and those that are answered here.

Songs come and stems go by tickets, never by paths, so that no request names a file of the server.
Of Gradio's own routes only those pass that show the page and run its queue. All others, among them
those that serve files, fetch addresses or take uploads, are not there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import soundfile as sf
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from asteroid_slicq.demo.settings import DemoSettings
from asteroid_slicq.demo.songs import Song, SongError, Songs
from asteroid_slicq.demo.sound import archive_of, chunk_of, levels_of, remix_of

_OPEN = re.compile(
    r"GET /(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|(assets|static|svelte)/.+|"
    r"gradio_api/(startup-events|heartbeat/\w+|queue/(data|status)|theme\.css|app_id))?"
    r"|HEAD /"
    r"|POST /gradio_api/(queue/join|reset|cancel)"
)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Gate:
    """Middleware in front of Gradio.

    Args:
        app: what answers the requests that pass.
        settings: of the page.
        songs: it holds.
    """

    def __init__(self, app: Any, settings: DemoSettings, songs: Songs):
        self._app = app
        self._settings = settings
        self._songs = songs
        self._own = Starlette(
            routes=[
                Route("/songs", self._upload, methods=["POST"]),
                Route("/songs/{ticket}/", self._is_here),
                Route("/songs/{ticket}/stop", self._stop, methods=["POST"]),
                Route("/songs/{ticket}/sound/{index:int}", self._answer(_sound)),
                Route("/songs/{ticket}/levels/{track}", self._answer(_levels)),
                Route("/songs/{ticket}/stems.zip", self._answer(_archive)),
                Route("/songs/{ticket}/remix.wav", self._answer(_remix)),
                Route("/songs/{ticket}/{track}.wav", self._answer(_stem)),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or let it pass."""
        app = self._app
        if scope["type"] != "lifespan":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if re.match(r"/songs(/|$)", path):
                app = self._own
            elif ".." in path or not _OPEN.fullmatch(f"{scope.get('method')} {path}"):
                app = Response("Not found", 404)
        await app(scope, receive, send)

    async def _upload(self, request: Request) -> Response:
        if "x-song" not in request.headers:  # which pages of other sites cannot send
            return _refusal(403, SongError("Songs are taken from the page alone."))
        limit = self._settings.max_bytes
        name = request.query_params.get("name", "")
        try:
            song = self._songs.add(name)
        except SongError as error:
            return _refusal(503, error)
        song.is_busy = True
        n_bytes = 0
        try:
            if int(request.headers.get("content-length") or 0) > limit:
                raise SongError(self._too_large(song))
            with song.upload.open("wb") as file:
                async for data in request.stream():
                    n_bytes += len(data)
                    if n_bytes > limit:
                        raise SongError(self._too_large(song))
                    await run_in_threadpool(file.write, data)
            if not n_bytes:
                raise SongError(f"{song.file_name} is empty (0 bytes).")
        except SongError as error:
            self._songs.remove(song)
            return _refusal(413 if n_bytes or "MB" in str(error) else 400, error)
        except BaseException as error:
            self._songs.remove(song)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=400)
            raise
        song.used_at = time.monotonic()
        song.is_busy = False
        return JSONResponse({"ticket": song.ticket, "name": song.file_name}, headers=_HEADERS)

    def _too_large(self, song: Song) -> str:
        limit = f"{self._settings.max_mb:g} MB"
        return f"{song.file_name} is larger than {limit}, which is what this page takes."

    async def _is_here(self, request: Request) -> Response:
        try:
            self._songs.find(request.path_params["ticket"])
        except SongError as error:
            return _refusal(404, error)
        return Response(status_code=204)

    async def _stop(self, request: Request) -> Response:
        try:
            self._songs.stop(self._songs.find(request.path_params["ticket"]))
        except SongError as error:
            return _refusal(404, error)
        return Response(status_code=204)

    def _answer(
        self, make: Callable[[Song, Request], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                song = self._songs.find(request.path_params["ticket"])
                if not song.tracks:
                    raise SongError("This song has not been separated yet.")
                return await run_in_threadpool(make, song, request)
            except (SongError, OSError, sf.LibsndfileError) as error:  # removed meanwhile
                return _refusal(404, error)

        return answer


def _refusal(status: int, error: Exception) -> Response:
    text = str(error) if isinstance(error, SongError) else "These stems are gone."
    return JSONResponse({"error": text}, status, headers=_HEADERS)


def _sound(song: Song, request: Request) -> Response:
    return _bytes(chunk_of(song, request.path_params["index"]))


def _levels(song: Song, request: Request) -> Response:
    return _bytes(levels_of(song, request.path_params["track"]))


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers=_HEADERS)


def _stem(song: Song, request: Request) -> Response:
    track = request.path_params["track"]
    if track not in song.tracks or track == "mix":
        raise SongError("This song has no such stem.")
    return _download(song.tracks[track], f"{song.title} - {track}.wav", "audio/wav")


def _archive(song: Song, _: Request) -> Response:
    return _download(archive_of(song), f"{song.title} - stems.zip", "application/zip")


def _remix(song: Song, request: Request) -> Response:
    try:
        gains = {name: float(gain) for name, gain in request.query_params.items()}
    except ValueError:
        raise SongError("The gain of a stem must be a number.") from None
    return _download(remix_of(song, gains), f"{song.title} - remix.wav", "audio/wav")


def _download(path: Any, name: str, media_type: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    headers = {**_HEADERS, "Content-Disposition": disposition}
    return FileResponse(path, media_type=media_type, headers=headers, stat_result=os.stat(path))
