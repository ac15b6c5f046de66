"""Card of a published model: training, settings, scores, licence, use.

The header is that of the Hugging Face Hub, made by ``huggingface_hub``'s own classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from asteroid_slicq.hub.card_facts import ARCHITECTURES, DATASETS, CardFacts, Dataset, sums_of_stems

TAGS = ("asteroid", "audio", "audio-to-audio", "music-source-separation")

_MEASURES = {
    "sdr": ("SDR", "median over frames of 1 s, then over tracks"),
    "usdr": ("uSDR", "over whole tracks, then their mean"),
    "haaqi": ("HAAQI", "quality for a listener, 0 to 1, of the middle of a track; mean of tracks"),
}

_WITHOUT_UNIT = {"haaqi"}  # all others are in dB

_MIXIN_MODES = """\

model.instrumental = True  # for music without a voice: leave the network of the vocals out
model.single_model = True  # the magnitudes of each network as they are, without soft masks
"""

Scores = dict[str, dict[str, dict[str, float | None]]]


def make_card(
    config: Mapping[str, Any], facts: CardFacts, evaluation: Mapping[str, Any] | None = None
) -> ModelCard:
    """The card of a model, of its config, of what that does not say, and of its scores."""
    scores, results = "", []
    if evaluation:
        if facts.evaluation_data is None:
            raise ValueError("scores need the name of the data that they were measured on")
        scores = _scores(config, evaluation, facts.evaluation_data)
        results = _eval_results(evaluation, facts.evaluation_data)
    data = facts.training_data
    header = ModelCardData(
        library_name="asteroid",
        tags=list(TAGS),
        pipeline_tag="audio-to-audio",
        datasets=[data.id] if data and data.id else None,
        license=facts.stated_license,
        language=facts.language,
        model_name=facts.repo_id.split("/")[-1] if results else None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        eval_results=results or None,
    )
    body = [
        _introduction(config, facts),
        _model(config),
        _use(config, facts),
        _training(config, facts),
        scores,
        _license(facts),
        _files(config, evaluation is not None),
    ]
    text = "\n\n".join(part.strip() for part in body if part)
    return ModelCard(f"---\n{header.to_yaml()}\n---\n\n{text}\n")


def _introduction(config: Mapping[str, Any], facts: CardFacts) -> str:
    channels = {1: "mono", 2: "stereo"}.get(config.get("n_channels") or 0, "")
    sources = config.get("sources")
    what = f"a song into {_list(sources)}" if sources else "a mix into its sources"
    rate = f" at {config['sample_rate']:g} Hz" if config.get("sample_rate") else ""
    architecture = ARCHITECTURES.get(config["model_name"])
    if architecture and architecture.channelwise:
        channels = "mono or stereo, channel by channel"
    return (
        f"# {facts.repo_id.split('/')[-1]}\n\n"
        f"Separates {what}{rate}{', ' if rate and channels else ' in ' if channels else ''}"
        f"{channels}. A `{config['model_name']}` of "
        f"{config['n_parameters']:,} parameters for "
        "[Asteroid](https://github.com/asteroid-team/asteroid) and its plugin `asteroid-slicq`."
    )


def _model(config: Mapping[str, Any]) -> str:
    architecture = ARCHITECTURES.get(config["model_name"])
    if architecture is None:
        return ""
    text = architecture.text
    if config["model_name"] == "MiXiN" and config["model_args"].get("single_model"):
        text += " Each source has these magnitudes and the phase of the mix (`single_model`)."
    elif config["model_name"] == "MiXiN":
        text += " Soft masks of all magnitudes give the sources, which sum to the mix."
    return "\n".join(["## Model", "", text, "", *(f"- {paper}" for paper in architecture.papers)])


def _use(config: Mapping[str, Any], facts: CardFacts) -> str:
    version = config["software_versions"].get("asteroid_slicq_version", "")
    first = (config.get("sources") or ["<source>"])[0]
    modes = _MIXIN_MODES if config["model_name"] == "MiXiN" else ""
    return f"""\
## Use

Install the Python package (the model was made with version {version}):

```bash
pip install asteroid-slicq
```

Then, in Python:

```python
import asteroid_slicq  # registers the model with Asteroid
from asteroid.models import BaseModel

model = BaseModel.from_pretrained("{facts.repo_id}").eval()
model.separate("song.wav", output_dir="stems")  # stems/song/{first}.wav …
{modes}```

On the command line:

```bash
asteroid-slicq separate song.wav -o stems --model {facts.repo_id}
```"""


def _training(config: Mapping[str, Any], facts: CardFacts) -> str:
    data = facts.training_data
    lines = ["## Training", ""]
    if data is None:
        lines.append("Its owner has not stated what it was trained on.")
    else:
        lines.append(f"Trained on {data.title}.")
    # These are the settings of this project's recipes, whose targets are known.
    if data is not None and facts.training_settings and (sums := sums_of_stems(config["sources"])):
        lines.append(f"Of its sources, {sums}.")
    if data in (DATASETS["procedural"], DATASETS["free-stems"]):
        lines.append("It has heard no real music.")
    lines += ["", "Arguments of the model:", "", *_block("json", _compact(config["model_args"]))]
    if facts.training_settings:
        settings = yaml.safe_dump(dict(facts.training_settings), sort_keys=False)
        lines += ["", "Settings of the training:", "", *_block("yaml", settings)]
    return "\n".join(lines)


def _scores(config: Mapping[str, Any], evaluation: Mapping[str, Any], data: Dataset) -> str:
    scores: Scores = evaluation["scores"]
    columns = list(dict.fromkeys(c for values in scores["model"].values() for c in values))
    columns.sort(key=lambda column: column != "mean")
    split, count = evaluation.get("split"), evaluation.get("n_tracks")
    where = f"the {split} tracks of {data.title}" if split else data.title
    number = f" ({count} track{'s' if count > 1 else ''})" if count else ""
    sums = sums_of_stems(config.get("sources"))
    others = [_title(name) for name in scores["model"] if name in _WITHOUT_UNIT]
    but = f", but for {_list(others)}" if others else ""
    lines = [
        "## Scores",
        "",
        f"On {where}{number}, in dB{but}.",
        *([f"The true sources are sums of stems: {sums}."] if sums else []),
        *(["The mix is the sum of these sources alone."] if evaluation.get("remix") else []),
        *(
            f"{_MEASURES[name][0]}: {_MEASURES[name][1]}."
            for name in scores["model"]
            if name in _MEASURES
        ),
        "",
        "| | " + " | ".join(["measure", *columns]) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for kind, measures in scores.items():
        for name, values in measures.items():
            cells = ["–" if (v := values.get(c)) is None else f"{v:.2f}" for c in columns]
            title = "**this model**" if kind == "model" else kind
            lines.append(f"| {title} | " + " | ".join([_title(name), *cells]) + " |")
    return "\n".join(lines)


def _license(facts: CardFacts) -> str:
    data, stated = facts.training_data, facts.stated_license
    lines = ["## Licence", ""]
    lines.append(f"Of the weights: `{stated}`." if stated else "Its owner has stated none.")
    if data and data.is_academic:
        lines.append(
            f"{data.title} was published for academic, non-commercial use, and some of its tracks "
            "are under CC BY-NC-SA 4.0: **these weights are for non-commercial use only.**"
        )
    lines.append("The code of `asteroid-slicq` and of Asteroid is under the MIT licence.")
    return "\n".join(lines)


def _files(config: Mapping[str, Any], has_evaluation: bool) -> str:
    versions = ", ".join(
        f"{name.removesuffix('_version')} {version}"
        for name, version in config["software_versions"].items()
    )
    lines = [
        "## Files",
        "",
        "- `pytorch_model.bin`: what `from_pretrained` reads: weights, name and arguments of the "
        "model; loads with `torch.load(…, weights_only=True)`",
        "- `model.safetensors` and `config.json`: the same, without a pickle",
        *(["- `evaluation.json`: the scores"] if has_evaluation else []),
        "",
        f"Written with {versions}.",
    ]
    return "\n".join(lines)


def _eval_results(evaluation: Mapping[str, Any], data: Dataset) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="audio-to-audio",
            task_name="Music source separation",
            dataset_type=data.id or _slug(data.title),
            dataset_name=data.title.replace("`", "")
            + (f" (mix of {_list(evaluation['sources'])})" if evaluation.get("remix") else ""),
            dataset_split=evaluation.get("split"),
            metric_type=_slug(name),
            metric_name=f"{_title(name)} {column}{'' if name in _WITHOUT_UNIT else ' (dB)'}",
            metric_value=round(value, 4),
        )
        for name, values in evaluation["scores"]["model"].items()
        for column, value in values.items()
        if value is not None
    ]


def _title(measure: str) -> str:
    return _MEASURES[measure][0] if measure in _MEASURES else measure


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(.*\)", "", text).lower()).strip("-")


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _compact(arguments: Mapping[str, Any]) -> str:
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in arguments.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _block(language: str, text: str) -> list[str]:
    return [f"```{language}", text.strip(), "```"]
