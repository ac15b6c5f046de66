"""``python -m asteroid_slicq``: the command line."""

import sys

from asteroid_slicq.cli import main

sys.exit(main())
