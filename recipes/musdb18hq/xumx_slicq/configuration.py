"""The settings of a training run: YAML files, then options of the command line."""

import argparse
import sys
from pathlib import Path
from typing import Any, cast

import yaml
from asteroid.utils import parse_args_as_dict, prepare_parser_from_dict

CONFIGURATIONS = Path(__file__).resolve().parent / "local"

Configuration = dict[str, dict[str, Any]]


def available() -> list[str]:
    """Names of the variants that have a file, and ``v2``, which is the base of all."""
    return ["v2", *sorted(p.stem for p in CONFIGURATIONS.glob("*.yml") if p.stem != "conf")]


def load(name: str) -> Configuration:
    """Read ``conf.yml`` and, over it, the file of a variant.

    Args:
        name: one of :func:`available`, or the path of a YAML file.

    Raises:
        ValueError: if there is no such variant, or its file has a section or key unknown to
            ``conf.yml``.
    """
    configuration: Configuration = yaml.safe_load((CONFIGURATIONS / "conf.yml").read_text())
    if name == "v2":
        return configuration
    file = Path(name) if name.endswith((".yml", ".yaml")) else CONFIGURATIONS / f"{name}.yml"
    if not file.is_file():
        raise ValueError(f"model must be one of {available()} or a YAML file, got {name!r}")
    for section, values in yaml.safe_load(file.read_text()).items():
        if section not in configuration:
            raise ValueError(f"{file}: unknown section {section!r}")
        # A model's section may add arguments of its own, which go to its constructor.
        unknown = set(values) - set(configuration[section]) if section != "model" else set()
        if unknown:
            raise ValueError(f"{file}: unknown key(s) {sorted(unknown)} in {section!r}")
        configuration[section].update(values)
    return configuration


def parse(arguments: list[str] | None = None) -> Configuration:
    """Settings of a run from its command line; ``main_args`` holds what no YAML file has."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--model", default="v2")
    name = first.parse_known_args(arguments)[0].model

    parser = argparse.ArgumentParser(description="Train xumx-sliCQ on stems.")
    parser.add_argument("--model", default="v2", help=f"{', '.join(available())} or a YAML file")
    parser.add_argument("--exp_dir", required=True, help="folder of this experiment")
    try:
        parser = prepare_parser_from_dict(load(name), parser=parser)
    except ValueError as error:
        parser.error(str(error))
    groups = cast(Configuration, parse_args_as_dict(parser, args=arguments))
    groups["main_args"].pop("help", None)
    groups.pop("positional arguments", None)
    return groups
