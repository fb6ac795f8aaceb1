"""Checkpoints: every tensor fits or the port is refused, and nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import tiny_models
import torch

from porters import open_source
from porters.pytorch.checkpoints import describe, load_into, read_state_dict
from porters.source import SourceOptions
from zoo.artifact import open_artifact, sha256
from zoo.errors import UserError
from zoo.inputs import parse_input


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """The weights of a tiny model that no seed of ours gives."""
    with torch.random.fork_rng():
        torch.manual_seed(99)
        return tiny_models.convnet().state_dict()


def save(state: dict[str, torch.Tensor], file: Path) -> Path:
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(state, file)
    else:
        torch.save(state, file)
    return file


def refusal(file: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load_into(tiny_models.convnet(), file)
    assert caught.value.place == str(file)
    return caught.value


def loaded(file: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    model = tiny_models.convnet()
    notes = load_into(model, file)
    return model.state_dict(), notes


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth", "w.bin"])
def test_every_format_gives_the_same_weights(state: dict[str, torch.Tensor], tmp_path: Path, name: str) -> None:
    tensors, notes = loaded(save(state, tmp_path / name))
    assert notes == []
    assert all(torch.equal(tensors[key], state[key]) for key in state)


def test_the_legacy_format_of_torch_is_read(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(loaded(tmp_path / "w.pth")[0]["head.bias"], state["head.bias"])


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_training_checkpoint_is_looked_into(state: dict[str, torch.Tensor], tmp_path: Path, key: str) -> None:
    torch.save({"epoch": 3, key: state}, tmp_path / "w.pt")
    assert torch.equal(loaded(tmp_path / "w.pt")[0]["head.bias"], state["head.bias"])


def test_shards_are_gathered_and_stay_beside_their_index(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = sorted(state)
    save({name: state[name] for name in names[:3]}, tmp_path / "a.safetensors")
    save({name: state[name] for name in names[3:]}, tmp_path / "b.safetensors")
    where = {name: "a.safetensors" if name in names[:3] else "../../b.safetensors" for name in names}
    index = tmp_path / "w.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    assert torch.equal(loaded(index)[0]["head.bias"], state["head.bias"])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_stripped_and_noted(
    state: dict[str, torch.Tensor], tmp_path: Path, prefix: str
) -> None:
    file = save({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "w.safetensors")
    tensors, notes = loaded(file)
    assert torch.equal(tensors["head.bias"], state["head.bias"])
    assert len(notes) == prefix.count(".")
    assert all("stripped from every name of the checkpoint" in note for note in notes)


def test_a_prefix_that_is_the_models_own_stays(tmp_path: Path) -> None:
    model = torch.nn.Sequential()
    model.add_module("module", torch.nn.Linear(2, 2))
    file = save(model.state_dict(), tmp_path / "w.safetensors")
    assert load_into(model, file) == []
    wrapped = save({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, tmp_path / "v.pt")
    assert len(load_into(model, wrapped)) == 1


def test_a_given_checkpoint_is_ported_and_named_in_the_card(
    state: dict[str, torch.Tensor], tmp_path: Path, zooport: Callable[..., object]
) -> None:
    file = save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.safetensors")
    assert zooport("port", *tiny_models.CONVNET, "--weights", file, "-o", tmp_path / "art").code == 0
    artifact = open_artifact(tmp_path / "art")
    card = artifact.card()
    assert card["source"]["checkpoint"]["files"] == [{"name": "w.safetensors", "sha256": sha256(file)}]
    assert card["port"]["notes"] == ["prefix 'module.' stripped from every name of the checkpoint"]
    ported = artifact.model().graph.initializers["head.weight"].const_value
    assert ported is not None
    assert (ported.numpy() == state["head.weight"].numpy()).all()


def test_a_checkpoint_is_loaded_into_a_live_module_too(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = save(state, tmp_path / "w.safetensors")
    original = open_source(tiny_models.convnet(), SourceOptions([parse_input("x=batch,3,8,8")], file))
    assert original.checkpoint == {"kind": "file", "given": True, "files": [describe(file)]}
    assert (original.parameters()["head.weight"] == state["head.weight"].numpy()).all()


# -- what does not fit ---------------------------------------------------------------------------------------------


def test_missing_unexpected_and_misshapen_tensors_are_all_listed(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state["head.wieght"] = state.pop("head.weight")
    state["stem.bias"] = torch.zeros(3)
    error = refusal(save(state, tmp_path / "w.safetensors"))
    assert error.fact == "the checkpoint does not fit the model"
    assert error.expected == "missing: head.weight; stem.bias [16]"
    assert error.got == "unexpected: head.wieght (near head.weight); stem.bias [3]"


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    model = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(10)])
    file = save({"0.weight": torch.zeros(1, 1)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="and 11 more"):
        load_into(model, file)


def test_the_counter_that_old_checkpoints_lack_is_not_missed(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del state["norm.num_batches_tracked"]
    assert loaded(save(state, tmp_path / "w.safetensors"))[1] == []


def test_the_command_line_refuses_what_does_not_fit(
    state: dict[str, torch.Tensor], tmp_path: Path, refused: Callable[..., str]
) -> None:
    del state["head.weight"]
    file = save(state, tmp_path / "w.safetensors")
    said = refused("port", *tiny_models.CONVNET, "--weights", file, "-o", tmp_path / "art")
    assert f"where:    {file}" in said
    assert "expected: missing: head.weight" in said
    assert "next:     give the checkpoint of this architecture" in said


# -- what cannot be read -------------------------------------------------------------------------------------------


def truncated(name: str, state: dict[str, torch.Tensor], folder: Path) -> bytes:
    content = save(state, folder / f"whole-{name}").read_bytes()
    return content[: len(content) // 2]


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_truncated_file_is_refused(state: dict[str, torch.Tensor], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(truncated(name, state, tmp_path))
    error = refusal(tmp_path / name)
    assert error.fact == "the checkpoint cannot be read"
    assert error.got
    assert error.hint


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.index.json"])
@pytest.mark.parametrize("content", [b"", b"epoch,loss\n1,0.3\n", b"[1, 2]", b'{"weight_map": 3}', b"\x80\x02}q."])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "cannot be read" in refusal(tmp_path / name).fact or "holds no tensors" in refusal(tmp_path / name).fact


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.zeros(1)], torch.zeros(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert refusal(tmp_path / "w.pt").fact in (
        "the checkpoint holds no tensors by name",
        "the checkpoint is no state dict",
    )


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = tmp_path / "w.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(UserError, match=r"gone\.safetensors"):
        read_state_dict(index)
