"""The server of the page, and what it leaves behind: nothing."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from asteroid_slicq.demo.settings import DemoSettings
from asteroid_slicq.demo.songs import Songs
from asteroid_slicq.files import hidden_folder

_SWEEP_S = 15.0
_FIRST_PORT, _N_PORTS = 7860, 100


class DemoServer:
    """The page on a port, from entering the context to leaving it.

    Songs and stems lie in a folder of the system's temporary one that other users of the machine
    cannot read. It goes at the end; what a killed server left, the next one removes.

    Args:
        settings: what the page offers.
        host: address to listen on; others than this machine reach the page on ``"0.0.0.0"``.
        port: to listen on; ``None`` for the first that is free from 7860 on.
        share: open a tunnel of Gradio's, by which anyone who has its address reaches the page.

    Attributes:
        url: of the page.
        share_url: of the tunnel, if any.

    Raises:
        ImportError: Gradio is missing.
        OSError: no such port is free, there is no such host, or no tunnel can be opened.
    """

    def __init__(
        self,
        settings: DemoSettings,
        host: str = "127.0.0.1",
        port: int | None = None,
        share: bool = False,
    ):
        self._settings = settings
        self._address = (host, port)
        self._share = share
        self._stack = ExitStack()
        self._closing = threading.Event()
        self.url = ""
        self.share_url: str | None = None

    def __enter__(self) -> DemoServer:
        with self._stack:  # undone if anything fails below
            enter = self._stack.enter_context
            root = enter(hidden_folder(Path(tempfile.gettempdir()) / "asteroid-slicq-demo"))
            root.chmod(0o700)
            settings = self._settings
            songs = Songs(root, settings.keep_minutes * 60, settings.max_songs)
            self._stack.callback(songs.close)
            enter(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # of files and of libraries, for developers
            # Read when Gradio is imported, or later: nothing of it goes elsewhere.
            os.environ["GRADIO_TEMP_DIR"] = str(root / "gradio")
            os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
            from asteroid_slicq.demo.page import launch

            host, port = self._address[0], _free_port(*self._address)
            blocks, self.url, self.share_url = launch(settings, songs, host, port, self._share)
            self._stack.callback(blocks.close, verbose=False)
            self._stack.callback(songs.close)  # so that work which is going on ends
            threading.Thread(target=self._sweep, args=(songs,), daemon=True).start()
            self._stack.callback(self._closing.set)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _sweep(self, songs: Songs) -> None:
        while not self._closing.wait(_SWEEP_S):
            songs.sweep()


def _free_port(host: str, port: int | None) -> int:
    """The port, or the first of those of Gradio that is free.

    Raises:
        OSError: none is free, or there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OSError(f"{host}: is no address of this machine ({error.strerror})") from error
    for candidate in [port] if port else range(_FIRST_PORT, _FIRST_PORT + _N_PORTS):
        try:
            socket.create_server((found[4][0], candidate), family=found[0]).close()
            return candidate
        except OSError as error:
            number = error.errno or 0
            if number != errno.EADDRINUSE:
                break
    raise OSError(f"{host}: cannot listen on port {candidate} ({os.strerror(number)})")
