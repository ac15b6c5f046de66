"""Score a trained MiXiN on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes into the experiment ``metrics.json``, ``results.md``, the box plot ``results.png`` and, in
``eval/<model>/``, files for each track. In a mode that is not the model's own, these names end
with it: ``metrics_instrumental.json``. The same command after it was stopped goes on with the
tracks that are left.
"""

from common.scoring import main

MODES = {"instrumental": "music, no voice", "single_model": "no soft masks"}

if __name__ == "__main__":
    main(modes=MODES, remix="instrumental")
