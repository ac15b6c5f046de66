"""Search over the settings of a sliCQT for the frame that suits some music best; resumable.

Trial i of a search is a function of the seed, of i, and, for the Bayesian search, of the results
of the trials before it. Each trial ends as a line of a journal; a search that was killed goes on
after the last whole line, and does what it would have done.

The Bayesian search is the tree-structured Parzen estimator of Optuna: Akiba, Sano, Yanase, Ohta,
Koyama (2019), "Optuna: a next-generation hyperparameter optimization framework".
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asteroid_slicq.files import given_path
from asteroid_slicq.vocabulary import SEARCH_METHODS

Value = str | int | float | None
Config = dict[str, Value]
Evaluate = Callable[[Config], Mapping[str, float]]

_LOG = logging.getLogger(__name__)
_STARTUP_TRIALS = 10  # random ones, before the first Bayesian one


class InvalidFrameError(ValueError):
    """A proposal that makes no frame, or not one that is allowed; the message says why."""


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Value, ...]

    def draw(self, rng: np.random.Generator) -> Value:
        """A value, all as likely."""
        return self.values[int(rng.integers(len(self.values)))]


@dataclass(frozen=True)
class Between:
    """A number between two, both included, drawn on a logarithmic axis."""

    low: float
    high: float
    is_whole: bool = False

    def draw(self, rng: np.random.Generator) -> Value:
        """A value, its logarithm as likely anywhere."""
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        if self.is_whole:
            return int(min(max(round(value), self.low), self.high))
        return float(f"{value:.4g}")


Space = Mapping[str, Choice | Between]

SPACE: Space = {
    "scale": Choice(("bark", "mel", "erb", "log", "vqlog")),
    "n_bins": Between(48, 800, is_whole=True),
    "f_min_hz": Between(10.0, 130.0),
    "window": Choice(("hann", "sine", "blackman-harris")),
    "min_bandwidth_hz": Between(5.0, 100.0),
    "bandwidth_factor": Between(1.0, 2.0),
    "slice_length": Choice((None, 8192, 16384, 32768, 65536)),
    "gamma_hz": Between(1.0, 100.0),
}
"""Settings that a search varies, by the names of ``SliCQT``.

``gamma_hz`` counts on the scale vqlog alone. A ``slice_length`` of None is the shortest that
resolves every bin. One that is given and too short for the bins is no frame.
"""


def without(space: Space, fixed: Mapping[str, Any]) -> Space:
    """The space around settings that are fixed: what is left to vary.

    >>> list(without(SPACE, {"scale": "mel", "n_bins": 600, "window": "hann"}))
    ['f_min_hz', 'min_bandwidth_hz', 'bandwidth_factor', 'slice_length']
    """
    gone = set(fixed)
    if fixed.get("scale", "vqlog") != "vqlog":
        gone.add("gamma_hz")
    return {name: domain for name, domain in space.items() if name not in gone}


@dataclass(frozen=True)
class Trial:
    """A frame that was tried.

    Attributes:
        number: from 0.
        config: settings of the frame.
        value: what the search maximises or minimises; None where the frame is invalid.
        values: what it is the mean of, by target.
        reason: why the frame is invalid, or empty.
    """

    number: int
    config: Config
    value: float | None
    values: dict[str, float]
    reason: str = ""


class Journal:
    """The trials of a search, as lines of JSON in a file.

    The first line tells what is searched. A journal of another search is refused; a last line that
    was not written to its end is dropped.

    Args:
        path: of the file; it is made where there is none.
        search: what tells this search from others, in types that JSON has.

    Attributes:
        trials: those of the file and those added since.

    Raises:
        ValueError: the file is no journal, or that of another search; the message names the first
            difference.
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], search: Mapping[str, Any]) -> None:
        self.path = given_path(path, "path")
        self.trials: list[Trial] = []
        wanted = json.loads(json.dumps(search))
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if not whole:
            if not b'{"search":'.startswith(text[:10]):
                raise ValueError(f"{self.path} is not the journal of a search")
            self.path.write_bytes(b"")
            self._append({"search": wanted})
            return
        try:
            header, *lines = [json.loads(line) for line in whole.splitlines()]
            found, self.trials = header["search"], [Trial(**line) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is not the journal of a search ({error})") from error
        for key in [*wanted, *found]:
            if found.get(key) != wanted.get(key):
                raise ValueError(
                    f"{self.path} is the journal of another search: its {key} is "
                    f"{found.get(key)!r}, not {wanted.get(key)!r}"
                )
        if len(whole) < len(text):
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))

    def add(self, trial: Trial) -> None:
        """Write a trial; it survives whatever happens next."""
        self._append(asdict(trial))
        self.trials.append(trial)

    def _append(self, line: Mapping[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def search_frames(
    evaluate: Evaluate,
    journal: Journal,
    n_trials: int,
    *,
    method: str = "random",
    seed: int = 0,
    space: Space = SPACE,
    maximise: bool = True,
) -> Iterator[Trial]:
    """Try frames until the journal holds ``n_trials``.

    Args:
        evaluate: gives a value for each target; the search takes their mean. A proposal that it
            refuses by ``InvalidFrameError``, or gives no finite value, is a trial without a value.
        journal: what was tried before.
        n_trials: trials in all, those of the journal counted.
        method: ``random`` or ``bayesian``.
        seed: of the proposals, at least 0.
        space: what is varied.
        maximise: whether more is better; less is for Bayesian search alone.

    Yields:
        Each new trial, once it is in the journal.

    Raises:
        ValueError: for an unknown method or a negative seed.
        ModuleNotFoundError: if the method is ``bayesian`` and Optuna is not installed.
    """
    if method not in SEARCH_METHODS:
        raise ValueError(f"method must be one of {', '.join(SEARCH_METHODS)}, got {method!r}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    for number in range(len(journal.trials), n_trials):
        if method == "random":
            config = propose_random(space, seed, number)
        else:
            config = propose_bayesian(space, seed, journal.trials, maximise)
        trial = _try(evaluate, number, config)
        if trial.reason:
            _LOG.info("trial %d skipped: %s", number, trial.reason)
        journal.add(trial)
        yield trial


def best(trials: Sequence[Trial], maximise: bool = True) -> Trial | None:
    """The best trial, the first of equals; None where none has a value."""
    valid = [trial for trial in trials if trial.value is not None]
    sign = 1 if maximise else -1
    return max(valid, key=lambda trial: sign * (trial.value or 0.0), default=None)


def propose_random(space: Space, seed: int, number: int) -> Config:
    """Trial ``number`` of a random search, which depends on nothing else."""
    rng = np.random.default_rng([seed, number])
    config = {name: domain.draw(rng) for name, domain in space.items()}
    if not _has_gamma(config):
        config.pop("gamma_hz", None)
    return config


def propose_bayesian(
    space: Space, seed: int, trials: Sequence[Trial], maximise: bool = True
) -> Config:
    """The next trial of a Bayesian search; invalid ones count as worse than any other."""
    if importlib.util.find_spec("optuna") is None:
        raise ModuleNotFoundError(
            "a Bayesian search needs Optuna: pip install 'asteroid-slicq[search]'", name="optuna"
        )
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, Any] = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            distributions[name] = optuna.distributions.CategoricalDistribution(domain.values)
        elif domain.is_whole:
            low, high = int(domain.low), int(domain.high)
            distributions[name] = optuna.distributions.IntDistribution(low, high, log=True)
        else:
            limits = domain.low, domain.high
            distributions[name] = optuna.distributions.FloatDistribution(*limits, log=True)
    # A sampler of its own for each trial: its state is the seed and the history, nothing else.
    state = np.random.SeedSequence([seed, len(trials)]).generate_state(1)
    sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, seed=int(state[0]))
    study = optuna.create_study(direction="maximize" if maximise else "minimize", sampler=sampler)
    for trial in trials:
        params = {name: trial.config[name] for name in space if name in trial.config}
        invalid = trial.value is None
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[("COMPLETE", "PRUNED")[invalid]],
                params=params,
                distributions={name: distributions[name] for name in params},
                value=trial.value,
            )
        )
    proposal = study.ask({name: d for name, d in distributions.items() if name != "gamma_hz"})
    config: Config = dict(proposal.params)
    if "gamma_hz" in distributions and _has_gamma(config):
        domain = distributions["gamma_hz"]
        config["gamma_hz"] = proposal.suggest_float("gamma_hz", domain.low, domain.high, log=True)
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in config.items()}
    return {name: rounded[name] for name in space if name in rounded}


def _has_gamma(config: Config) -> bool:
    """Whether the scale uses ``gamma_hz``; one that is not searched does, or it would not be."""
    return config.get("scale", "vqlog") == "vqlog"


def _try(evaluate: Evaluate, number: int, config: Config) -> Trial:
    try:
        values = {target: float(value) for target, value in evaluate(config).items()}
    except InvalidFrameError as error:
        return Trial(number, config, None, {}, str(error))
    silent = [target for target, value in values.items() if not math.isfinite(value)]
    if silent or not values:
        return Trial(number, config, None, {}, f"no value for {', '.join(silent) or 'any target'}")
    return Trial(number, config, float(np.mean(list(values.values()))), values)
