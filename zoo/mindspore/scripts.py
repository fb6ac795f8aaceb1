"""Writes what stands around a model in a project: scripts, configurations and the README."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.artifact import Artifact
from zoo.errors import UserError
from zoo.executors.mindspore import environment, shortened, traced
from zoo.inputs import InputSpec, sample
from zoo.mindspore.project import LAYERS, SIGNATURE, class_name_of, write_model

MINDIR = "model.mindir"
_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("common.py", "export.py", "infer.py", "eval.py", "train.py")
# device -> what its configuration has that the others have not. The Ascend 310P does not train.
_DEVICES: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"device_target": "CPU", "batch_size": 8, "amp_level": "O0", "sink_mode": False},
    "gpu": {"device_target": "GPU", "batch_size": 64, "amp_level": "O2", "sink_mode": True},
    "ascend310p": {"device_target": "Ascend", "batch_size": 16, "amp_level": "O0", "sink_mode": False},
    "ascend910b": {"device_target": "Ascend", "batch_size": 64, "amp_level": "O2", "sink_mode": True},
}
_TRAINING = {"epochs": 10, "learning_rate": 0.001, "momentum": 0.9, "weight_decay": 0.0001}
EXPORT_TIMEOUT_S = 900


def write_project(artifact: Artifact, folder: Path, sizes: Mapping[str, int]) -> dict[str, int]:
    """Write a whole project, without ``model.mindir``.

    Args:
        artifact: The port.
        folder: Where it goes.
        sizes: Sizes of symbolic dimensions, for MindIR and for inputs that are drawn.

    Returns:
        The size of every symbolic dimension that stands in the configurations.

    Raises:
        UserError: Naming every node that cannot be said in MindSpore.
    """
    card = artifact.card()
    said = f"{card['name']}, written by zooport from {card['source']['reference']}."
    made = write_model(artifact.model(), folder, class_name_of(artifact), said)
    images = is_picture_classifier(card)
    words = {"class": made.class_name}
    for name in _SCRIPTS:
        (folder / name).write_text(_filled(name, words), encoding="utf-8")
    (folder / "dataset.py").write_text(_filled("dataset_images.py" if images else "dataset_arrays.py", {}), "utf-8")
    known = typical_sizes(artifact, sizes)
    (folder / "config").mkdir()
    for device, facts in _DEVICES.items():
        content = {**facts, "sizes": known, **_TRAINING, **({"image": _image(card)} if images else {})}
        (folder / "config" / f"{device}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return known


def is_picture_classifier(card: Mapping[str, Any]) -> bool:
    """Say whether a model takes one picture of a fixed size and names its class."""
    inputs = card["inputs"]
    fixed = (
        len(inputs) == 1 and len(inputs[0]["shape"]) == 4 and all(isinstance(d, int) for d in inputs[0]["shape"][1:])
    )
    return card["task"] == "image-classification" and bool(fixed) and inputs[0]["shape"][1] == 3


def _image(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return how pictures are prepared: the card's own numbers, else ImageNet's usual ones."""
    said: Mapping[str, Any] = card.get("preprocessing") or {}
    mean, std = said.get("mean", [0.485, 0.456, 0.406]), said.get("std", [0.229, 0.224, 0.225])
    size = [int(item) for item in card["inputs"][0]["shape"][2:]]
    return {"size": size, "mean": _three(mean), "std": _three(std), "crop": float(said.get("crop", 0.875))}


def _three(item: Any) -> list[float]:
    return [float(part) for part in item] if isinstance(item, (list, tuple)) else [float(item)] * 3


def typical_sizes(artifact: Artifact, given: Mapping[str, int]) -> dict[str, int]:
    """Return a size for each symbolic dimension of the inputs: the one given, else that of the seeded inputs."""
    specs = [InputSpec.from_card(entry) for entry in artifact.card()["inputs"]]
    feed = sample(specs, 0, 0, {"batch": 1, **given})
    found: dict[str, int] = {}
    for spec in specs:
        for dim, size in zip(spec.shape, feed[spec.name].shape, strict=True):
            if isinstance(dim, str):
                found[dim] = int(size)
    unknown = set(given) - set(found)
    if unknown:
        raise UserError(
            "there is no such size", place="--size", expected=", ".join(found) or "none", got=", ".join(sorted(unknown))
        )
    return found


def write_readme(artifact: Artifact, folder: Path, verdicts: Mapping[str, str]) -> None:
    """Write the README in both languages; ``verdicts`` says of each file what was found."""
    card = artifact.card()
    layers, mindir = (folder / LAYERS).is_file(), (folder / MINDIR).is_file()
    english = "; ".join(f"`{file}` against the original: {verdict}" for file, verdict in verdicts.items())
    chinese = "；".join(f"`{file}` 与原模型对比：{verdict}" for file, verdict in verdicts.items())
    words = {
        "name": card["name"],
        "class": yaml.safe_load((folder / SIGNATURE).read_text(encoding="utf-8"))["class_name"],
        "source": card["source"]["reference"],
        "framework": card["source"]["framework"],
        "licence": card["source"].get("licence") or "unknown",
        "layers": "| `layers.py` | functions that MindSpore lacks |\n" if layers else "",
        "layers_zh": "| `layers.py` | MindSpore 未提供的函数 |\n" if layers else "",
        "mindir": "| `model.mindir` | the network as MindIR, with the sizes of `config/cpu.yaml` |\n" if mindir else "",
        "mindir_zh": "| `model.mindir` | MindIR 格式的网络，尺寸见 `config/cpu.yaml` |\n" if mindir else "",
        "checked": f"{english}." if english else "nothing.",
        "checked_zh": f"{chinese}。" if chinese else "无。",
    }
    for name in ("README.md", "README.zh-CN.md"):
        (folder / name).write_text(_filled(name, words), encoding="utf-8")


def _filled(name: str, words: Mapping[str, Any]) -> str:
    text = (_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
    for key, value in words.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def export_mindir(folder: Path) -> None:
    """Run the project's ``export.py``.

    Raises:
        UserError: With MindSpore's words where it refuses.
    """
    command = [sys.executable, "export.py", "--output", str((folder / MINDIR).resolve())]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(0),
            capture_output=True,
            text=True,
            timeout=EXPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError("MindSpore's export takes too long", place=str(folder), got=f"{EXPORT_TIMEOUT_S} s") from error
    if done.returncode or not (folder / MINDIR).is_file():
        said = done.stderr or done.stdout
        raise UserError("MindSpore does not export the project", place=traced(said) or str(folder), got=shortened(said))
    (folder / MINDIR).chmod(0o666 & ~_umask())
    for left in ("rank_0", "kernel_meta", "__pycache__"):
        shutil.rmtree(folder / left, ignore_errors=True)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
