"""``asteroid-slicq demo``: a page to listen on."""

from __future__ import annotations

import argparse
import threading
from contextlib import ExitStack
from functools import partial

import torch

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.model_choice import resolve_device, resolve_separator
from asteroid_slicq.demo import DemoServer, DemoSettings


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes.

    Raises:
        CommandError: a model or a device that cannot be used, no free port, or no Gradio.
    """
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    names = args.model or ["default"]
    settings = DemoSettings(
        models={name: partial(resolve_separator, name) for name in names},
        device=resolve_device(args.device),
        max_minutes=args.max_minutes,
        max_mb=args.max_mb,
        keep_minutes=args.keep_minutes,
        n_jobs=args.jobs,
    )
    with ExitStack() as stack:
        try:
            server = stack.enter_context(DemoServer(settings, args.host, args.port, args.share))
        except ImportError as error:
            raise CommandError(
                f"the page needs Gradio: pip install 'asteroid-slicq[demo]' ({error})"
            ) from error
        except OSError as error:
            raise CommandError(str(error)) from error
        say(f"the page is at {server.url} (Ctrl-C ends it)")
        if server.share_url:
            say(f"whoever knows this address reaches it, too: {server.share_url}")
        threading.Event().wait()
    return 0
