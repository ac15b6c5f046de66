"""A page to listen on: a song in, its stems out, in a browser; it needs Gradio (extra ``demo``)."""

from asteroid_slicq.demo.server import DemoServer
from asteroid_slicq.demo.settings import DemoSettings

__all__ = ["DemoServer", "DemoSettings"]
