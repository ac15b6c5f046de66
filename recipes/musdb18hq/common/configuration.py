"""The settings of a training run: YAML files, then options of the command line."""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from asteroid.utils import parse_args_as_dict, prepare_parser_from_dict
from asteroid.utils.parser_utils import str2bool_arg

from asteroid_slicq.cli.parsers.arguments import refuse_empty

Configuration = dict[str, dict[str, Any]]

_TINY = 1e-12
#: Least and largest value of settings that are numbers.
_BOUNDS: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("samples_per_track", "epochs", "batch_size", "accumulate", "patience"), (1,)),
    **dict.fromkeys(("num_nodes", "log_every_steps"), (1,)),
    **dict.fromkeys(("validation_segments", "statistics_segments", "seed", "warmup_steps"), (0,)),
    **dict.fromkeys(("plateau_patience", "gradient_clipping", "max_time_s", "weight_decay"), (0,)),
    **dict.fromkeys(("num_workers", "n_threads", "checkpoint_steps", "preview_epochs"), (0,)),
    **dict.fromkeys(("log_every_s", "gain_min", "gain_max", "lr"), (0,)),
    **dict.fromkeys(("random_mix", "swap_channels"), (0, 1)),
    "segment_s": (_TINY,),
    **dict.fromkeys(("validation_fraction", "plateau_factor"), (_TINY, 1 - _TINY)),
    "ema_decay": (0, 1 - _TINY),
}
_CHOICES = {"schedule": ("none", "plateau", "cosine")}


@dataclass(frozen=True)
class Variants:
    """The settings that a recipe has a name for.

    Attributes:
        folder: holds ``conf.yml``, the settings of the recipe over those that all recipes have
            (``common/conf.yml``), and a file for each variant, what differs in it.
        base: the name of ``conf.yml`` alone.
        option: of the command line that names one.
    """

    folder: Path
    base: str = "published"
    option: str = "conf"

    def available(self) -> list[str]:
        """Names of those that have a file, after that of the base."""
        files = self.folder.glob("*.yml")
        return [self.base, *sorted(p.stem for p in files if p.stem != "conf")]

    def load(self, name: str) -> Configuration:
        """Read ``conf.yml`` and, over it, the file of a variant.

        Args:
            name: one of :meth:`available`, or the path of a YAML file. The key ``over`` of a file
                names another one, by its path from there, which is read first.

        Raises:
            ValueError: if there is no such variant, or its file has a section or key unknown to
                ``conf.yml``.
        """
        conf = _read(Path(__file__).parent / "conf.yml")
        for section, values in _read(self.folder / "conf.yml").items():
            conf.setdefault(section, {}).update(values)
        if name == self.base:
            return conf
        file = Path(name) if name.endswith((".yml", ".yaml")) else self.folder / f"{name}.yml"
        if not file.is_file():
            names = self.available()
            raise ValueError(f"{self.option} must be one of {names} or a YAML file, got {name!r}")
        return self._over(conf, file)

    def _over(self, conf: Configuration, file: Path) -> Configuration:
        """Put the settings of a file over others, after those of the file that it is ``over``."""
        changes: dict[str, Any] = dict(_read(file))
        if other := changes.pop("over", None):
            if not (file.parent / str(other)).is_file():
                raise ValueError(f"{file}: over must name a file from here, got {other!r}")
            conf = self._over(conf, file.parent / str(other))
        for section, values in changes.items():
            if section not in conf:
                raise ValueError(f"{file}: unknown section {section!r}")
            # A model's section may add arguments of its own, which go to its constructor.
            unknown = set(values) - set(conf[section]) if section != "model" else set()
            if unknown:
                raise ValueError(f"{file}: unknown key(s) {sorted(unknown)} in {section!r}")
            conf[section].update(values)
        return conf

    def parse(self, description: str, arguments: list[str] | None = None) -> Configuration:
        """Settings of a run from its command line; ``main_args`` holds what no YAML file has."""
        arguments = sys.argv[1:] if arguments is None else arguments
        option = f"--{self.option}"
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        first.add_argument(option, default=self.base)
        name = getattr(first.parse_known_args(arguments)[0], self.option)

        parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
        refuse_empty(parser, arguments)
        names = ", ".join(self.available())
        parser.add_argument(option, default=self.base, help=f"{names} or a YAML file")
        parser.add_argument("--exp_dir", required=True, help="folder of this experiment")
        help_text = "look whether settings and data go together, and train nothing"
        parser.add_argument("--check", type=str2bool_arg, default=False, help=help_text)
        for kind in (list, dict):
            parser.register("type", kind, _yaml_type(kind))
        try:
            conf = self.load(name)
        except ValueError as error:
            parser.error(str(error))
        # A model may have arguments with the names of other settings: `--model_width`, say.
        taken = {key for section, values in conf.items() if section != "model" for key in values}
        model, prefix = conf.get("model", {}), "model_"
        conf["model"] = {prefix * (key in taken) + key: value for key, value in model.items()}
        parser = prepare_parser_from_dict(conf, parser=parser)
        groups = cast(Configuration, parse_args_as_dict(parser, args=arguments))
        clashes = {prefix + key: key for key in model if key in taken}
        groups["model"] = {clashes.get(k, k): v for k, v in groups.get("model", {}).items()}
        groups["main_args"].pop("help", None)
        groups.pop("positional arguments", None)
        try:
            check_settings(groups)
        except ValueError as error:
            parser.error(str(error))
        return groups


def _yaml_type(kind: type) -> Callable[[str], Any]:
    """What reads a list or a dictionary from the command line."""

    def read(text: str) -> Any:
        value = yaml.safe_load(text)
        if not isinstance(value, kind):
            example = "[1, 2]" if kind is list else "{name: 1}"
            raise argparse.ArgumentTypeError(f"must be like '{example}', got {text!r}")
        return value

    return read


def check_settings(conf: Configuration) -> None:
    """Refuse values that no training can work with.

    Raises:
        ValueError: it names the first of them, its value and the rule.
    """
    for section, values in conf.items():
        for key, value in values.items():
            bounds = _BOUNDS.get(key, (0.0, 1.0) if section == "augmentation" else None)
            if bounds:
                _check_number(key, value, *bounds)
            elif key in _CHOICES and value not in _CHOICES[key]:
                raise ValueError(f"{key} must be one of {', '.join(_CHOICES[key])}, got {value!r}")


def _check_number(key: str, value: Any, least: float, most: float = math.inf) -> None:
    hint = " (YAML reads 1e-3 as text, and 1.0e-3 as a number)" if isinstance(value, str) else ""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        rule = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
        raise ValueError(f"{key} must be a number {rule}, got {value!r}{hint}")


def _read(file: Path) -> Configuration:
    return yaml.safe_load(file.read_text())
