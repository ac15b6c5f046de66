"""Score a trained model on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes into the experiment ``metrics.json``, ``results.md`` with published scores beside, the box
plot ``results.png`` and, in ``eval/<model>/``, files for each track. The same command after it was
stopped goes on with the tracks that are left.
"""

from common.scoring import main

if __name__ == "__main__":
    main()
