"""Facts about model cards: what the Hub reads in the header, and what people read below it."""

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from asteroid_slicq.hub import CardFacts, read_evaluation, read_training_settings
from asteroid_slicq.hub.card import make_card

CONFIG = {
    "model_name": "XUMXSliCQ",
    "model_args": {"sources": ["bass", "vocals"], "transform": {"n_bins": 14}, "wiener": None},
    "sample_rate": 44100,
    "n_channels": 2,
    "sources": ["bass", "vocals"],
    "n_parameters": 1234567,
    "software_versions": {"torch_version": "2.11", "asteroid_slicq_version": "0.1.0"},
}
EVALUATION = {
    "split": "test",
    "n_tracks": 50,
    "scores": {
        "model": {
            "sdr": {"bass": 4.69, "mean": 4.4, "vocals": None},
            "museval SIR": {"bass": 9.5, "mean": 9.5},
        },
        "mixture": {"sdr": {"bass": -6.25, "mean": -5.0}},
    },
}


def card_of(trained_on="musdb18-hq", evaluation=None, **facts):
    card = make_card(CONFIG, CardFacts("user/xumx", trained_on, **facts), evaluation)
    return ModelCard(str(card))  # as the Hub would read it


def test_the_header_is_that_of_the_hub():
    header = card_of(evaluation=EVALUATION).data.to_dict()
    assert header["library_name"] == "asteroid"
    assert header["tags"] == ["asteroid", "audio", "audio-to-audio", "music-source-separation"]
    assert header["datasets"] == ["musdb18-hq"]
    assert header["license"] == "cc-by-nc-sa-4.0"
    assert header["metrics"] == ["sdr", "museval-sir"]
    assert header["model-index"][0]["name"] == "xumx"
    assert "language" not in header


def test_a_score_without_a_unit_is_not_in_decibels():
    haaqi = {"haaqi": {"bass": 0.5, "mean": 0.5}}
    scores = {"model": {**EVALUATION["scores"]["model"], **haaqi}}
    card = card_of(evaluation={**EVALUATION, "scores": scores})
    names = [result.metric_name for result in card.data.eval_results]
    assert [name for name in names if "dB" not in name] == ["HAAQI bass", "HAAQI mean"]
    assert "On the test tracks of MUSDB18-HQ (50 tracks), in dB, but for HAAQI." in card.text
    assert "(50 tracks), in dB.\n" in card_of(evaluation=EVALUATION).text


def test_scores_are_eval_results_of_their_data():
    results = card_of(evaluation=EVALUATION).data.eval_results
    assert {r.metric_name: r.metric_value for r in results} == {
        "SDR bass (dB)": 4.69,
        "SDR mean (dB)": 4.4,
        "museval SIR bass (dB)": 9.5,
        "museval SIR mean (dB)": 9.5,
    }
    assert {(r.task_type, r.dataset_type, r.dataset_name, r.dataset_split) for r in results} == {
        ("audio-to-audio", "musdb18-hq", "MUSDB18-HQ", "test")
    }


def test_the_table_has_every_score_and_what_it_compares_with():
    text = card_of(evaluation=EVALUATION).text
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert [[cell.strip() for cell in row] for row in rows if "---" not in row] == [
        ["", "measure", "mean", "bass", "vocals"],
        ["**this model**", "SDR", "4.40", "4.69", "–"],
        ["**this model**", "museval SIR", "9.50", "9.50", "–"],
        ["mixture", "SDR", "-5.00", "-6.25", "–"],
    ]
    assert "On the test tracks of MUSDB18-HQ (50 tracks)" in text


@pytest.mark.parametrize("name", ["musdb18-hq", "MUSDB18HQ", "musdb18"])
@pytest.mark.parametrize("license", [None, "mit"])
def test_weights_of_musdb_are_for_non_commercial_use(name, license):
    card = card_of(name, license=license)
    assert "these weights are for non-commercial use only" in card.text
    assert card.data.license == (license or "cc-by-nc-sa-4.0")


def test_procedural_stems_are_free_and_no_music():
    card = card_of("procedural", evaluation=EVALUATION)
    assert card.data.license == "mit"
    assert card.data.datasets is None
    assert "has heard no real music" in card.text
    assert "non-commercial" not in card.text
    assert card.data.eval_results[0].dataset_type == "procedural-stems"


def test_what_is_not_known_is_not_claimed():
    card = card_of(None)
    assert {"license", "datasets", "metrics", "model-index"}.isdisjoint(card.data.to_dict())
    assert "has not stated what it was trained on" in card.text
    assert "Scores" not in card.text
    with pytest.raises(ValueError, match="name of the data"):
        card_of(None, EVALUATION)


def test_other_data_keep_their_title():
    card = card_of("my own songs", EVALUATION, license="cc0-1.0", language="en")
    assert "Trained on my own songs." in card.text
    assert card.data.eval_results[0].dataset_type == "my-own-songs"
    assert (card.data.license, card.data.language) == ("cc0-1.0", "en")
    other = card_of("my own songs", EVALUATION, evaluated_on="musdb18")
    assert other.data.datasets is None
    assert other.data.eval_results[0].dataset_type == "musdb18"


def test_the_arguments_stand_in_the_card():
    block = re.search(r"```json\n(.*?)```", card_of().text, re.DOTALL)
    assert json.loads(block[1]) == CONFIG["model_args"]


def test_settings_of_the_training_tell_nothing_of_the_machine(tmp_path):
    path = tmp_path / "conf.yml"
    path.write_text(
        "data: {data_dir: /home/me/music, segment_s: 2.0, cache: a/b}\n"
        "optim: {lr: 0.001}\nrun: {devices: 4}\nmain_args: {exp_dir: exp}\n"
    )
    settings = read_training_settings(path)
    assert settings == {"data": {"segment_s": 2.0}, "optim": {"lr": 0.001}}
    assert "lr: 0.001" in card_of(training_settings=settings).text


@pytest.mark.parametrize("text", ["- 1\n", "a: 1\n", "a: [\n", ""])
def test_settings_that_are_none(tmp_path, text):
    path = tmp_path / "conf.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"conf\.yml"):
        read_training_settings(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "is no JSON"),
        ("[]", r'must hold scores\["model"\]'),
        ('{"scores": {"mixture": {}}}', r'must hold scores\["model"\]'),
        ('{"scores": {"model": {"sdr": 4.4}}}', r'scores\["model"\] must hold numbers'),
        ('{"scores": {"model": {"sdr": {"bass": "x"}}}}', "must hold numbers"),
        ('{"scores": {"model": {"sdr": {"bass": NaN}}}}', "must hold numbers"),
        ('{"scores": {"model": {}, "oracle": []}}', r'scores\["oracle"\] must hold numbers'),
    ],
)
def test_scores_that_are_none(tmp_path, text, words):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_evaluation(path)


def test_scores_come_back_as_written(tmp_path: Path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(EVALUATION))
    assert read_evaluation(path) == EVALUATION


MIXIN = {
    **CONFIG,
    "model_name": "MiXiN",
    "model_args": {"single_model": False},
    "n_channels": 1,
    "sources": ["harmonic", "percussive", "vocals"],
}


def test_the_card_of_a_mixin_says_what_it_is():
    evaluation = {**EVALUATION, "n_tracks": 1}
    facts = CardFacts("user/mixin", "musdb18-hq", training_settings={"optim": {"lr": 0.001}})
    text = str(make_card(MIXIN, facts, evaluation))
    for words in (
        "mono or stereo, channel by channel",
        "convolutional denoising autoencoder",
        "Soft masks of all magnitudes",
        "arXiv:1703.08019",
        "model.instrumental = True",
        "Of its sources, harmonic is bass + other, percussive is drums.",
        "(1 track), in dB.\nThe true sources are sums of stems: harmonic is bass + other",
    ):
        assert words in text, words
    assert "sliCQ transform" not in text
    assert "sum of these sources alone" not in text
    # Without the settings of a recipe, nobody knows what its sources were.
    assert "Of its sources" not in str(make_card(MIXIN, CardFacts("user/mixin", "my songs")))

    changed = {**MIXIN, "model_args": {"single_model": True}, "sources": ["harmonic", "percussive"]}
    remixed = {**evaluation, "remix": True, "sources": changed["sources"]}
    card = ModelCard(str(make_card(changed, facts, remixed)))
    assert "`single_model`" in card.text
    assert "Soft masks" not in card.text
    assert "The mix is the sum of these sources alone." in card.text
    names = {result.dataset_name for result in card.data.eval_results}
    assert names == {"MUSDB18-HQ (mix of harmonic and percussive)"}


def test_the_card_of_an_xumx_slicq_names_its_paper():
    text = card_of().text
    assert "arXiv:2112.05509" in text
    assert "instrumental" not in text
