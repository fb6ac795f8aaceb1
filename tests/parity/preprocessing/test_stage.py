"""Preprocessing beside the original's own: right cards pass, each wrong one is named by its step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parity.preprocessing.declared import with_processing
from parity.preprocessing.images import preprocess
from parity.preprocessing.stage import compare_steps
from porters.pytorch.sources import need

SOURCES = ("timm:mobilenetv3_small_100", "torchvision:resnet18", "transformers")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two images with edges and colours, higher than wide and wider than high."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    files = []
    for index, (height, width) in enumerate(((301, 417), (390, 280))):
        coarse = random.integers(0, 256, (height // 6 + 1, width // 6 + 1, 3), dtype=np.uint8)
        pixels = coarse.repeat(6, 0).repeat(6, 1)[:height, :width]
        files.append(folder / f"{index}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A transformers directory with CLIP's image processor."""
    need("transformers", "text")
    from transformers import CLIPImageProcessor

    folder = tmp_path_factory.mktemp("clip")
    CLIPImageProcessor().save_pretrained(str(folder))
    return folder


@pytest.fixture(params=SOURCES)
def card(request, clip):
    source = f"transformers:{clip}" if request.param == "transformers" else request.param
    completed, notes = with_processing({"source": {"reference": source}}, "image-classification")
    assert "declares no preprocessing" in notes[0]
    return completed


def wrong(card, photos, **steps):
    """The steps that fail under a card with other ``steps``, the whole left out."""
    changed = card | {"preprocessing": card["preprocessing"] | steps}
    found, notes = compare_steps(changed, photos)
    assert not notes
    whole = next(step for step in found if step.step == "tensor")
    failing = [step for step in found if step.verdict == "fail" and step is not whole]
    assert (whole.verdict == "fail") == bool(failing)
    return failing


def test_what_the_original_declares_is_what_it_does(card, photos):
    assert wrong(card, photos) == []


def test_another_filter_is_named_with_the_originals(card, photos):
    right = card["preprocessing"]["filter"]
    other = "bilinear" if right == "bicubic" else "bicubic"
    (step,) = wrong(card, photos, filter=other)
    assert (step.step, step.card, step.original) == ("resize filter", other, right)
    assert step.max_abs > 5


def test_a_resize_without_antialiasing_is_named(card, photos):
    (step,) = wrong(card, photos, filter="bilinear", antialias=False)
    assert (step.step, step.card) == ("resize filter", "bilinear without antialiasing")


def test_another_size_is_named(card, photos):
    (step,) = wrong(card, photos, resize=[230, 230])
    assert step.step == "resize size"
    assert step.card == "(230, 230)"


def test_the_blue_channel_first_is_named(card, photos):
    mean, std = card["preprocessing"]["mean"][::-1], card["preprocessing"]["std"][::-1]
    (step,) = wrong(card, photos, colour="BGR", mean=mean, std=std)
    assert (step.step, step.card, step.original) == ("colour order", "BGR", "RGB")


def test_another_mean_is_named(card, photos):
    mean = list(card["preprocessing"]["mean"])
    mean[1] += 0.01
    (step,) = wrong(card, photos, mean=mean)
    assert step.step == "mean"
    assert step.max_abs == pytest.approx(0.01 / card["preprocessing"]["std"][1], rel=0.01)


def test_another_deviation_is_named(card, photos):
    std = [*card["preprocessing"]["std"][:2], 0.5]
    assert [step.step for step in wrong(card, photos, std=std)] == ["std"]


def test_a_scale_that_is_missing_is_named(card, photos):
    assert [step.step for step in wrong(card, photos, scale=1)] == ["scale"]


def test_a_crop_left_out_is_named(card, photos):
    (step,) = wrong(card, photos, crop=None)
    assert step.step == "crop"
    assert step.max_abs == float("inf")


def test_another_layout_is_named(card, photos):
    (step,) = wrong(card, photos, layout="NHWC")
    assert (step.step, step.card, step.original) == ("layout", "NHWC", "NCHW")


def test_a_picture_lying_on_its_side_is_decoded_otherwise(clip, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (240, 300, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: transformers turns it back, torchvision does not
    file = tmp_path / "turned.png"
    Image.fromarray(pixels).save(file, exif=exif)
    for source, expected in ((f"transformers:{clip}", ["decode"]), ("torchvision:resnet18", [])):
        card, _ = with_processing({"source": {"reference": source}}, "image-classification")
        assert [step.step for step in wrong(card, [file])] == expected


def test_grey_pictures_do_not_tell_colours_but_are_compared(card, tmp_path):
    file = tmp_path / "grey.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (260, 300), dtype=np.uint8)).save(file)
    assert wrong(card, [file]) == []
    assert [step.step for step in wrong(card, [file], mean=0.0)] == ["normalisation"]


def test_a_detectors_resize_keeps_the_longer_side_in_bounds(tmp_path):
    need("transformers", "text")
    from transformers import DetrImageProcessor

    DetrImageProcessor(size={"shortest_edge": 80, "longest_edge": 100}).save_pretrained(str(tmp_path))
    card, _ = with_processing({"source": {"reference": f"transformers:{tmp_path}"}}, "object-detection")
    for number, size in enumerate(((60, 50), (37, 93), (200, 71))):
        file = tmp_path / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
        assert wrong(card, [file]) == []
    assert max(preprocess(file, card["preprocessing"]).shape) == 100


@pytest.mark.parametrize(("name", "colour"), [("ResNet50", "BGR"), ("MobileNetV2", "RGB"), ("DenseNet121", "RGB")])
def test_keras_three_normalisations(name, colour, photos):
    inputs = [{"name": "x", "dtype": "float32", "shape": ["batch", 224, 224, 3]}]
    source = {"source": {"reference": f"keras:{name}"}, "inputs": inputs}
    card, _ = with_processing(source, "image-classification")
    assert card["preprocessing"]["colour"] == colour
    assert wrong(card, photos) == []
    steps = card["preprocessing"]
    other = {"colour": colour[::-1], "mean": steps["mean"][::-1], "std": steps["std"][::-1]}
    assert [step.step for step in wrong(card, photos, **other)] == ["colour order"]
    (step,) = wrong(card, photos, filter="bilinear")
    assert (step.step, step.original) == ("resize filter", "nearest")
    assert [step.step for step in wrong(card, photos, layout="NCHW")] == ["layout"]


def test_a_source_without_a_transform_is_said():
    found, notes = compare_steps({"source": {"reference": "python:a:b"}, "preprocessing": {"crop": 8}}, [Path("x.png")])
    assert found == []
    assert "no transform of its own" in notes[0]


TEXTS = [("The café, naïve & 12.5 Üñï",), ("first text", "and the second")]


@pytest.fixture
def bert(tmp_path):
    """A transformers directory with a BERT tokenizer of a small vocabulary."""
    need("transformers", "text")
    from transformers import BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,&éïüñ"
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "first",
        "text",
        *letters,
        *(f"##{x}" for x in letters),
    ]
    words += [f"##{letter}" for letter in letters]
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(vocabulary), model_max_length=20).save_pretrained(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(json.loads((tmp_path / "tokenizer_config.json").read_text()) | {"model_max_length": 20})
    )
    return tmp_path


def tokens_wrong(bert, edit=None, **steps):
    card, _ = with_processing({"source": {"reference": f"transformers:{bert}"}}, "text-classification")
    if edit is not None:
        content = json.loads((bert / "tokenizer.json").read_text())
        edit(content)
        (bert / "other.json").write_text(json.dumps(content))
        steps["tokenizer"] = str(bert / "other.json")
    card["preprocessing"] |= steps
    found, notes = compare_steps(card, TEXTS)
    assert not notes
    assert len(found) >= 5
    return [step.step for step in found if step.verdict == "fail"]


def test_the_originals_own_tokenizer_passes(bert):
    assert tokens_wrong(bert) == []


def test_a_tokenizer_that_keeps_case_is_named(bert):
    assert tokens_wrong(bert, lambda content: content["normalizer"].update(lowercase=False))[0] == "normalise"


def test_a_tokenizer_that_splits_otherwise_is_named(bert):
    assert tokens_wrong(bert, lambda content: content.update(pre_tokenizer={"type": "WhitespaceSplit"}))[0] == "split"


def test_a_vocabulary_in_another_order_is_named(bert):
    def swap(content):
        vocabulary = content["model"]["vocab"]
        vocabulary["the"], vocabulary["first"] = vocabulary["first"], vocabulary["the"]

    assert tokens_wrong(bert, swap)[0] == "tokens"


def test_special_tokens_left_out_are_named(bert):
    assert tokens_wrong(bert, lambda content: content.update(post_processor=None))[0] == "special tokens"


def test_more_tokens_than_the_original_takes_are_named(bert):
    assert tokens_wrong(bert, max_length=64) == ["truncation"]
