"""The page of `asteroid-slicq demo` as a Space of the Hugging Face Hub; docs/demo.md says how."""

import sys

from asteroid_slicq.cli import main

SETTINGS = ["--host", "0.0.0.0", "--port", "7860", "--max-minutes", "6", "--keep-minutes", "15"]

if __name__ == "__main__":
    sys.exit(main(["demo", *SETTINGS, *sys.argv[1:]]))
