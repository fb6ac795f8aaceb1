"""Models whose weights can be read and replaced by name and that run: PyTorch, Keras and MindSpore, for the audit."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from weight_maps.audit import Side
from weight_maps.checkpoint import Checkpoint, Tensors
from zoo.errors import UserError, missing_extra

if TYPE_CHECKING:
    from porters.porter import Original
    from zoo.inputs import InputSpec

MINDSPORE = "mindcv"
# Constant tensors of a seeded model (zero biases, unit scales) are moved by as much: what is constant shows no swap.
ROUGHNESS = 0.2
# What is below this is as good as zero: layer scales start at 1e-6, and what they scale reaches no output; torchvision
# draws biases of a ViT with a deviation of 1e-6.
SMALL = 1e-3


class TorchSide:
    """A PyTorch module; its tensors are those of its state dict."""

    def __init__(self, original: Any) -> None:
        self._original = original

    @property
    def module(self) -> Any:
        """The module itself."""
        return self._original.model

    def checkpoint(self) -> Checkpoint:
        """Return copies of the state dict's tensors."""
        from weight_maps.formats.pytorch import to_numpy

        return Tensors({name: to_numpy(item) for name, item in self.module.state_dict().items()})

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Copy tensors into the state dict's own."""
        import torch

        from weight_maps.formats.pytorch import from_numpy

        own = self.module.state_dict()
        with torch.no_grad():
            for name, array in tensors.items():
                own[name].copy_(from_numpy(np.array(array)))

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run in the module's own precision, inputs in the order of its signature."""
        named = {spec.name: feed for spec, feed in zip(self._original.inputs, feeds, strict=False)}
        return _floats(self._original.run(named).values())

    def layers(self, feeds: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return what each module gives, in the order in which they end."""
        from porters.pytorch.original import to_numpy

        seen: dict[str, np.ndarray] = {}

        def keep(name: str) -> Any:
            def hook(_: Any, __: Any, output: Any) -> None:
                if isinstance(output, (tuple, list)) and output:  # attention and recurrent layers say more beside it
                    output = output[0]
                if hasattr(output, "is_floating_point"):
                    seen[name] = to_numpy(output).copy()  # an activation behind it may work in place

            return hook

        handles = [module.register_forward_hook(keep(name)) for name, module in self.module.named_modules() if name]
        try:
            self.run(feeds)
        finally:
            for handle in handles:
                handle.remove()
        return seen


class ModuleSide(TorchSide):
    """A PyTorch module of a factory, called with its inputs one by one."""

    def __init__(self, module: Any) -> None:
        self._module = module.eval()

    @property
    def module(self) -> Any:
        """The module itself."""
        return self._module

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run in the module's own precision."""
        import torch

        from porters.pytorch.original import named_outputs, to_numpy, to_tensor

        with torch.no_grad():
            result = self._module(*(to_tensor(feed) for feed in feeds))
        return _floats(to_numpy(tensor) for tensor in named_outputs(result).values())


class KerasSide:
    """A Keras model; its tensors are called ``layer/variable``, its images have channels last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._weights = {_keras_name(weight.path, model.name): weight for weight in model.weights}

    def checkpoint(self) -> Checkpoint:
        """Return copies of the model's weights."""
        return Tensors({name: np.array(weight) for name, weight in self._weights.items()})

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Assign weights."""
        for name, array in tensors.items():
            self._weights[name].assign(array)

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run with images turned to channels last, and turn feature maps back."""
        given = [feed.transpose(0, 2, 3, 1) if feed.ndim == 4 else feed for feed in feeds]
        result = self._model(given[0] if len(given) == 1 else given, training=False)
        return [_channels_first(item) for item in _floats(np.asarray(item) for item in _leaves(result))]

    def layers(self, feeds: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return what each layer of a model of ``keras.Input``s gives, in the model's order; of any other, nothing."""
        import keras

        if not getattr(self._model, "inputs", None):
            return {}
        known = [layer for layer in self._model.layers if layer.weights]
        probe = keras.Model(self._model.inputs, [layer.output for layer in known])
        given = [feed.transpose(0, 2, 3, 1) if feed.ndim == 4 else feed for feed in feeds]
        results = _leaves(probe(given, training=False))
        return {layer.name: _channels_first(np.asarray(item)) for layer, item in zip(known, results, strict=True)}


class MindSporeSide:
    """A MindSpore cell; its tensors are called as ``save_checkpoint`` and ``load_param_into_net`` call them."""

    def __init__(self, cell: Any) -> None:
        from zoo.mindspore.serve import settle_convolutions

        settle_convolutions()
        self._cell = cell.set_train(False)
        if not all(_leads_to(cell, item) for item in cell.get_parameters()):
            # Cells put together by hand keep names of their parts; this names them as a whole.
            cell.update_parameters_name("")
        self._parameters = {item.name: item for item in cell.get_parameters()}

    def checkpoint(self) -> Checkpoint:
        """Return copies of the cell's parameters."""
        return Tensors({name: np.array(item.asnumpy()) for name, item in self._parameters.items()})

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set parameters."""
        import mindspore

        for name, array in tensors.items():
            self._parameters[name].set_data(mindspore.Tensor(np.ascontiguousarray(array)))

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on the CPU, in the mode that is set."""
        import mindspore

        result = self._cell(*(mindspore.Tensor(feed) for feed in feeds))
        return _floats(item.asnumpy() for item in _leaves(result))

    def layers(self, feeds: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return what each cell gives, in the order in which they end; hooks are heard where nothing is compiled."""
        import mindspore

        seen: dict[str, np.ndarray] = {}

        def keep(name: str) -> Any:
            def hook(_: Any, __: Any, output: Any) -> None:
                if isinstance(output, mindspore.Tensor):
                    seen[name] = np.array(output.asnumpy())

            return hook

        from zoo.mindspore.serve import settle_numpy

        mode = mindspore.get_context("mode")
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
        settle_numpy()
        handles = [cell.register_forward_hook(keep(name)) for name, cell in self._cell.cells_and_names() if name]
        try:
            self.run(feeds)
        finally:
            for handle in handles:
                handle.remove()
            mindspore.set_context(mode=mode)
        return seen


class ModelOfSide:
    """A side as ``parity.live`` takes models: run with named inputs, in the order of a signature.

    Attributes:
        framework: None that is known to a porter.
    """

    framework = "side"

    def __init__(self, side: Side, inputs: Sequence[InputSpec]) -> None:
        self._side, self.inputs = side, list(inputs)

    def run(self, feed: Mapping[str, np.ndarray], precision: str = "own") -> dict[str, np.ndarray]:
        """Return the outputs by place."""
        made = self._side.run([feed[spec.name] for spec in self.inputs])
        return {f"output_{at}": array for at, array in enumerate(made)}


def _leads_to(cell: Any, parameter: Any) -> bool:
    """Return whether a parameter's name is a path by which the cell has it."""
    found = cell
    for part in parameter.name.split("."):
        found = found[int(part)] if part.isdigit() and hasattr(found, "__getitem__") else getattr(found, part, None)
        if found is None:
            return False
    return found is parameter


def _channels_first(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def _keras_name(path: str, model: str) -> str:
    return path.removeprefix(f"{model}/")


def _leaves(result: Any) -> list[Any]:
    if isinstance(result, Mapping):
        return [leaf for key in result for leaf in _leaves(result[key])]
    return [leaf for item in result for leaf in _leaves(item)] if isinstance(result, (list, tuple)) else [result]


def _floats(arrays: Any) -> list[np.ndarray]:
    return [np.asarray(array) for array in arrays if np.issubdtype(np.asarray(array).dtype, np.floating)]


# -- opening -------------------------------------------------------------------------------------------------------


def open_side(reference: str, seed: int = 0) -> Side:
    """Return the model of a reference, with seeded weights where it brings none.

    Args:
        reference: ``mindcv:NAME``, ``python:package.module:factory`` (a function that returns an ``nn.Module``, a
            ``keras.Model``, a MindSpore cell or a side of its own), or a source of ``zooport port``.
        seed: Of the weights.

    Raises:
        UserError: If there is no such model.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == MINDSPORE:
        return MindSporeSide(_mindcv(rest, seed))
    if scheme == "python":
        return side_of(_made(rest))
    from porters.source import SourceOptions, open_source

    return side_of_original(open_source(reference, SourceOptions(seed=seed)))


def open_pair(
    source: str, target: str, feeds: Sequence[np.ndarray], seed: int, *, real: bool = False
) -> tuple[Side, Side]:
    """Return both models, each once run on the inputs; the source's constants are moved unless its weights are real.

    Raises:
        UserError: If a model is not there, or does not run on these inputs.
    """
    ours, theirs = (probed(open_side(name, seed + n), feeds, name) for n, name in enumerate((source, target)))
    if not real:
        enliven(ours, seed)
    return ours, theirs


def probed(side: Side, feeds: Sequence[np.ndarray], reference: str) -> Side:
    """Return ``side`` after a first run: some models have their weights only then.

    Raises:
        UserError: If the model does not run on these inputs.
    """
    try:
        side.run(feeds)
    except Exception as error:  # each framework raises its own kinds
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            "the model does not run on these inputs",
            place=reference,
            expected="inputs that both models take, channels first",
            got=f"{', '.join(str(list(feed.shape)) for feed in feeds)}: {lines[0][:300]}",
            hint="give other --input",
        ) from error
    return side


def side_of_original(original: Original) -> Side:
    """Return the side of an original that a porter opened.

    Raises:
        UserError: If its weights have no names (a ``tf.function``).
    """
    model = getattr(original, "model", None)
    if original.framework == "pytorch" and model is not None:
        return TorchSide(original)
    if model is None:
        raise UserError(
            "the model's weights cannot be replaced", got=original.name, expected="an nn.Module or Keras model"
        )
    return KerasSide(model)


def side_of(model: Any) -> Side:
    """Return the side of a live model.

    Raises:
        UserError: If it is of no framework that is known here.
    """
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if {"torch"} & roots:
        return ModuleSide(model)
    if {"keras", "tensorflow"} & roots:
        return KerasSide(model)
    if {"mindspore"} & roots:
        return MindSporeSide(model)
    if all(hasattr(model, name) for name in ("checkpoint", "load", "run")):
        own: Side = model
        return own
    raise UserError("the model is of no known framework", got=type(model).__name__)


def _made(rest: str) -> Any:
    from porters.pytorch.sources import failed, resolve_factory

    module, _, name = rest.partition(":")
    factory = resolve_factory(module, name)
    try:
        return factory()
    except UserError:
        raise
    except Exception as error:  # each framework raises its own kinds
        raise failed("the factory fails; it is called without arguments", f"python:{rest}", error) from error


def _mindcv(name: str, seed: int) -> Any:
    try:
        mindspore = importlib.import_module("mindspore")
        models = importlib.import_module("mindcv.models")
    except ImportError as error:
        raise missing_extra(str(error.name), "mindspore", "a mindcv model") from error
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_device("CPU")
    mindspore.set_seed(seed)
    try:
        return models.create_model(name, pretrained=False)
    except RuntimeError as error:
        raise UserError(
            f"mindcv has no model {name!r}", got=str(error), expected=", ".join(models.list_models()[:5])
        ) from error


def enliven(side: Side, seed: int = 0) -> None:
    """Move every tensor of a seeded model that is constant, so that no swap and no loss can hide behind equal values.

    Zeros (biases, means) and what is near them (layer scales, biases that are drawn so) get noise, any other constant
    (scales, variances) is multiplied by factors around 1.
    """
    random = np.random.default_rng(seed)
    checkpoint = side.checkpoint()
    moved = {}
    for name, spec in checkpoint.specs().items():
        if "float" not in spec.dtype or not spec.elements:
            continue
        array = checkpoint.read(name)
        first = array.reshape(-1)[0]
        nothing = bool((np.abs(array) < SMALL).all())
        if nothing or (array == first).all():
            noise = ROUGHNESS * random.uniform(-1, 1, array.shape)
            moved[name] = (noise if nothing else first * (1 + noise)).astype(array.dtype)
    side.load(moved)


def feeds_of(specs: Sequence[Mapping[str, Any]], seed: int = 0) -> list[np.ndarray]:
    """Return seeded inputs.

    Args:
        specs: For each input ``shape`` and, for integers, ``below``; floats are drawn from N(0, 1).
        seed: Of the inputs.
    """
    random = np.random.default_rng(seed + 1)
    feeds = []
    for spec in specs:
        shape = tuple(spec["shape"])
        below = spec.get("below")
        drawn = random.integers(0, below, shape) if below else random.standard_normal(shape)
        feeds.append(drawn.astype(spec.get("dtype", "int64" if below else "float32")))
    return feeds
