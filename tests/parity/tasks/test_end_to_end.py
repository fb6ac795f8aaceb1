"""Tiny transformers directories ported and evaluated, processing taken from the directory as a user has it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from parity.accuracy import evaluate
from parity.preprocessing.declared import with_processing
from parity.task import find_task
from porters.porting import port_to
from porters.pytorch.sources import need
from porters.source import SourceOptions
from zoo.artifact import open_artifact
from zoo.executor import load

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?"
CONTEXT = "the tower was finished in 1889 by a company of gustave eiffel, and it stands in paris. " * 3
STEPS = ["normalise", "split", "tokens", "special tokens", "truncation", "segments"]


def saved(model, folder):
    """Write a seeded model's directory with a tokenizer of letters."""
    need("transformers", "text")
    from transformers import BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(str(folder))
    model.save_pretrained(str(folder))
    return folder


def tiny(kind, **more):
    import torch

    transformers = need("transformers", "text")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    sizes |= {"initializer_range": 0.5, **more}  # so that answers differ from sample to sample
    model = getattr(transformers, kind)
    return model(model.config_class(**sizes)).eval()


def ported(folder, tmp_path):
    port_to(f"transformers:{folder}", tmp_path / "artifact", SourceOptions())
    return open_artifact(tmp_path / "artifact")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    return made


def test_question_answering(folder, tmp_path):
    saved(tiny("BertForQuestionAnswering", vocab_size=83, max_position_embeddings=64), folder)
    artifact = ported(folder, tmp_path)
    artifact.replace_card(
        artifact.card()
        | {"preprocessing": {"tokenizer": str(folder / "tokenizer.json"), "max_length": 64, "stride": 16}}
    )
    asked = ("when was it finished?", "who finished it?", "where does it stand?", "what is it?")
    qas = [{"id": str(i), "question": text, "answers": [{"text": "1889"}]} for i, text in enumerate(asked)]
    data = tmp_path / "dev-v1.1.json"
    data.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]}))
    found = evaluate(artifact, str(data), save=False)
    assert (found.task, found.metric, found.n) == ("question-answering", "f1", 4)
    assert set(found.metrics) == {"f1", "exact_match"}
    assert found.original == found.port
    assert not found.flipped
    assert [step.step for step in found.preprocessing] == STEPS
    assert found.verdict == "pass"


def test_language_modelling(folder, tmp_path):
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64, "vocab_size": 83}
    saved(tiny("GPT2LMHeadModel", **sizes), folder)
    (tmp_path / "wiki.test.tokens").write_text(CONTEXT)
    found = evaluate(ported(folder, tmp_path), str(tmp_path), save=False)
    assert (found.task, found.metric) == ("language-modelling", "perplexity")
    assert found.n == -(-len([c for c in CONTEXT if c != " "]) // 64)
    assert found.port == pytest.approx(found.original, rel=1e-4)
    assert found.original > 2
    assert set(found.metrics) == {"perplexity", "bits_per_character"}
    assert found.metrics["bits_per_character"].original_interval[0] > 0


def test_text_classification_and_embeddings(folder, tmp_path):
    labels = {0: "negative", 1: "positive"}
    model = tiny("BertForSequenceClassification", vocab_size=83, max_position_embeddings=64, id2label=labels)
    saved(model, folder)
    words = ["dull", "awful", "a mess", "poor", "fine", "superb", "a joy", "great"]
    lines = [f"{word} film\t{'positive' if index > 3 else 'negative'}" for index, word in enumerate(words)]
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\n" + "\n".join(lines))
    artifact = ported(folder, tmp_path)
    found = evaluate(artifact, str(tmp_path / "dev.tsv"), save=False)
    assert (found.task, found.metric, found.n) == ("text-classification", "accuracy", 8)
    assert found.original == found.port
    assert set(found.metrics) == {"accuracy", "macro_f1"}
    again = evaluate(artifact, str(tmp_path / "dev.tsv"), task="embeddings", save=False)
    assert (again.metric, again.delta, again.n) == ("precision_at_1", 0.0, 8)


def test_object_detection(folder, tmp_path):
    model = tiny("YolosForObjectDetection", image_size=[32, 32], patch_size=16, num_detection_tokens=6, num_labels=3)
    model.config.id2label = {0: "cat", 1: "dog", 2: "bird"}
    model.save_pretrained(str(folder))
    from transformers import YolosImageProcessor

    YolosImageProcessor(size={"height": 32, "width": 32}, do_pad=False).save_pretrained(str(folder))
    artifact = ported(folder, tmp_path)
    data = tmp_path / "instances_val.json"
    kinds = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}, {"id": 19, "name": "bird"}]
    images, annotations = [], []
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        images.append({"id": index + 1, "file_name": f"{index}.png", "height": 40, "width": 60})
    corner = {"id": 1, "image_id": 1, "category_id": 17, "bbox": [0, 0, 1, 1], "area": 1}
    data.write_text(json.dumps({"images": images, "annotations": [corner], "categories": kinds}))
    for image, found in zip(images, detected(artifact, data), strict=True):
        # What the model is surest of is made the truth, so that there is something to find.
        best = {"image_id": image["id"], "category_id": found[0]["category_id"], "bbox": found[0]["bbox"]}
        annotations.append(best | {"id": len(annotations) + 1, "iscrowd": 0})
    data.write_text(json.dumps({"images": images, "annotations": annotations, "categories": kinds}))
    found = evaluate(artifact, str(data), task="object-detection", save=False)
    assert (found.metric, found.n, found.original) == ("map", 3, found.port)
    assert found.original > 0.3
    assert set(found.metrics) == {"map", "map50"}
    assert {step.verdict for step in found.preprocessing} == {"pass"}
    assert found.verdict == "pass"


def detected(artifact, data):
    task = find_task("object-detection")
    card, _ = with_processing(artifact.card(), "object-detection")
    with load(artifact.model_path) as session:
        for sample in task.samples(str(data), card):
            feeds = task.feeds(sample, card)
            yield task.answer(sample, [session.run(feed) for feed in feeds], feeds, card)
