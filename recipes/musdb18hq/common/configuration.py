"""The settings of a training run: YAML files, then options of the command line."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from asteroid.utils import parse_args_as_dict, prepare_parser_from_dict

from asteroid_slicq.cli.parsers.arguments import refuse_empty

Configuration = dict[str, dict[str, Any]]


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
            name: one of :meth:`available`, or the path of a YAML file.

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
        for section, values in _read(file).items():
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

        parser = argparse.ArgumentParser(description=description)
        refuse_empty(parser, arguments)
        names = ", ".join(self.available())
        parser.add_argument(option, default=self.base, help=f"{names} or a YAML file")
        parser.add_argument("--exp_dir", required=True, help="folder of this experiment")
        try:
            parser = prepare_parser_from_dict(self.load(name), parser=parser)
        except ValueError as error:
            parser.error(str(error))
        groups = cast(Configuration, parse_args_as_dict(parser, args=arguments))
        groups["main_args"].pop("help", None)
        groups.pop("positional arguments", None)
        return groups


def _read(file: Path) -> Configuration:
    return yaml.safe_load(file.read_text())
