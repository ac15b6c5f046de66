"""The page, in Gradio: one component of our own, and a queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from html import escape
from importlib import resources
from io import StringIO
from typing import Any

import gradio as gr
from gradio.themes import Base
from starlette.middleware import Middleware

from asteroid_slicq.demo.gate import Gate
from asteroid_slicq.demo.settings import DemoSettings
from asteroid_slicq.demo.songs import Songs
from asteroid_slicq.demo.work import State, Workshop

_ASSETS = resources.files("asteroid_slicq") / "demo/assets"
_TITLE = "Songs in, stems out"
_SCRIPTS = ("player.js", "lanes.js", "recorder.js", "page.js")
_FONT = ["system-ui", "sans-serif"]


def launch(
    settings: DemoSettings, songs: Songs, host: str, port: int, share: bool
) -> tuple[gr.Blocks, str, str | None]:
    """Serve the page in threads of its own.

    Args:
        settings: what it offers.
        songs: that it holds.
        host: to listen on.
        port: to listen on, a free one.
        share: whether to open a tunnel.

    Returns:
        What to close in the end, the page's address and that of the tunnel.

    Raises:
        OSError: the tunnel cannot be opened.
    """
    workshop = Workshop(settings, songs)
    blocks = _blocks(settings, workshop)
    with redirect_stdout(StringIO()):  # where Gradio comments on the tunnel
        _, url, share_url = blocks.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            share=share,
            quiet=True,
            prevent_thread_lock=True,
            app_kwargs={"middleware": [Middleware(Gate, settings=settings, songs=songs)]},
            theme=Base(font=_FONT, font_mono=["ui-monospace", "monospace"]),
            head=f"<style>{_asset('page.css')}</style>",
            favicon_path=str(_ASSETS / "icon.svg"),
            footer_links=[],
            allowed_paths=[],
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
        )
    if share and share_url is None:
        blocks.close(verbose=False)
        raise OSError("the tunnel cannot be opened; Gradio's servers must be reachable for it")
    return blocks, url, share_url


def _blocks(settings: DemoSettings, workshop: Workshop) -> gr.Blocks:
    def separate(event: gr.EventData) -> Iterator[State]:
        data: dict[str, Any] = event._data or {}
        yield from workshop.separate(str(data.get("ticket")), str(data.get("model")))

    with gr.Blocks(title=_TITLE, analytics_enabled=False, fill_width=True) as blocks:
        page = gr.HTML(
            None,
            html_template=_html(settings),
            js_on_load=_script(settings),
            apply_default_css=False,
            elem_id="slicq",
        )
        page.separate(
            separate,
            None,
            page,
            concurrency_limit=settings.n_jobs,
            show_progress="hidden",
            trigger_mode="multiple",  # where one is cancelled, the next need not wait for its end
            api_visibility="private",
        )
    blocks.queue(max_size=None, api_open=False)
    return blocks


def _html(settings: DemoSettings) -> str:
    options = "".join(f"<option>{escape(name)}</option>" for name in settings.models)
    limits = f"Up to {settings.max_minutes:g} minutes and {settings.max_mb:g} MB."
    keep = f"{settings.keep_minutes:g}"
    html = _asset("page.html")
    for name, value in {"options": options, "limits": limits, "keep": keep}.items():
        html = html.replace(f"<!--{name}-->", value)
    return html


def _script(settings: DemoSettings) -> str:
    facts = {"max_bytes": settings.max_bytes, "max_mb": settings.max_mb}
    lines = [f"const facts = {json.dumps(facts)};", *map(_asset, _SCRIPTS)]
    return "\n".join(["{", *lines, "}"])  # a block: Gradio has variables of its own


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
