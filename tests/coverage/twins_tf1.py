"""Google's BERT and OpenAI's GPT-2 as they were published, run as TensorFlow 1 graphs, for the proofs of weight maps.

Their code comes from PyPI, unpacked or installed without dependencies: bert-tensorflow 1.0.4 (google-research/bert)
and gpt-2-simple 0.8.1 (whose ``src/model.py`` is openai/gpt-2's).
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weight_maps.checkpoint import Checkpoint, Tensors
from zoo.errors import UserError


class GraphSide:
    """A TensorFlow 1 graph with its session; tensors are its variables."""

    def __init__(self, graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        import tensorflow as tf

        self._inputs, self._outputs = inputs, outputs
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            self._variables = {v.name.removesuffix(":0"): v for v in tf.compat.v1.global_variables()}
            self._given = {n: tf.compat.v1.placeholder(v.dtype.base_dtype, v.shape) for n, v in self._variables.items()}
            self._assign = {n: v.assign(self._given[n]) for n, v in self._variables.items()}
            self._session.run(tf.compat.v1.global_variables_initializer())

    def checkpoint(self) -> Checkpoint:
        """Return the variables' values."""
        return Tensors(self._session.run(self._variables))

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Assign variables."""
        for name, array in tensors.items():
            self._session.run(self._assign[name], {self._given[name]: array})

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the graph."""
        fed = dict(zip(self._inputs, feeds, strict=True))
        return [np.asarray(array) for array in self._session.run(list(self._outputs), fed)]


def _file(package: str, *path: str) -> Path:
    """Return a file of a package that is not to be imported as a whole."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"the proof needs the package {package!r}", hint="unpack it and put it on PYTHONPATH")
    return Path(found.submodule_search_locations[0]).joinpath(*path)


def _module(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _contrib() -> None:
    """Stand in for what TensorFlow 2 dropped of tf.contrib: layers.layer_norm, as BERT calls it."""
    import tensorflow as tf

    def layer_norm(inputs: Any, begin_norm_axis: int, begin_params_axis: int, scope: str | None) -> Any:
        # tensorflow/contrib/layers/python/layers/layers.py: variables beta and gamma, epsilon 1e-12 for float32.
        with tf.compat.v1.variable_scope(scope, "LayerNorm"):
            width = inputs.shape[-1:]
            beta = tf.compat.v1.get_variable("beta", width, initializer=tf.compat.v1.zeros_initializer())
            gamma = tf.compat.v1.get_variable("gamma", width, initializer=tf.compat.v1.ones_initializer())
            mean, variance = tf.nn.moments(inputs, [begin_norm_axis], keepdims=True)
            return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-12)

    contrib, layers = types.ModuleType("tensorflow.contrib"), types.ModuleType("tensorflow.contrib.layers")
    layers.layer_norm = layer_norm  # type: ignore[attr-defined]
    contrib.layers = layers  # type: ignore[attr-defined]
    sys.modules["tensorflow.contrib"], sys.modules["tensorflow.contrib.layers"] = contrib, layers


class _WithLayers:
    """tf.compat.v1 with the ``layers.dense`` that goes missing beside Keras 3."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._v1 = tf.compat.v1
        self.layers = types.SimpleNamespace(dense=self._dense)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._v1, name)

    def _dense(
        self, inputs: Any, units: int, activation: Any = None, kernel_initializer: Any = None, name: str | None = None
    ) -> Any:
        # tensorflow/python/layers/core.py: variables kernel (inputs, units) and bias in a scope of the layer's name.
        with self._v1.variable_scope(name, "dense"):
            kernel = self._v1.get_variable("kernel", [inputs.shape[-1], units], initializer=kernel_initializer)
            bias = self._v1.get_variable("bias", [units], initializer=self._v1.zeros_initializer())
            result = self._v1.tensordot(inputs, kernel, [[-1], [0]]) + bias
            return activation(result) if activation else result


def google_bert() -> GraphSide:
    """Return Google's BERT with both pretraining heads; outputs as ``twins.transformers_bert`` has them."""
    import tensorflow as tf

    v1 = _WithLayers()
    _contrib()
    modeling = _module("google_bert_modeling", _file("bert", "modeling.py"))
    modeling.tf = v1
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    config = modeling.BertConfig(vocab_size=61, max_position_embeddings=16, type_vocab_size=2, **sizes)
    graph = tf.Graph()
    with graph.as_default():
        v1.set_random_seed(0)
        ids, segments = v1.placeholder(tf.int32, [4, 9]), v1.placeholder(tf.int32, [4, 9])
        bert = modeling.BertModel(config, False, ids, token_type_ids=segments)
        # run_pretraining.py's get_masked_lm_output and get_next_sentence_output, without their losses.
        with v1.variable_scope("cls/predictions"):
            with v1.variable_scope("transform"):
                hidden = v1.layers.dense(
                    bert.get_sequence_output(),
                    config.hidden_size,
                    activation=modeling.get_activation(config.hidden_act),
                    kernel_initializer=modeling.create_initializer(config.initializer_range),
                )
                hidden = modeling.layer_norm(hidden)
            bias = v1.get_variable("output_bias", [61], initializer=v1.zeros_initializer())
            words = tf.nn.log_softmax(tf.einsum("bth,vh->btv", hidden, bert.get_embedding_table()) + bias)
        with v1.variable_scope("cls/seq_relationship"):
            weights = v1.get_variable("output_weights", [2, 32], initializer=modeling.create_initializer(0.02))
            bias = v1.get_variable("output_bias", [2], initializer=v1.zeros_initializer())
            following = tf.nn.log_softmax(tf.matmul(bert.get_pooled_output(), weights, transpose_b=True) + bias)
        outputs = [bert.get_sequence_output(), bert.get_pooled_output(), words, following]
    return GraphSide(graph, [ids, segments], outputs)


def openai_gpt2() -> GraphSide:
    """Return OpenAI's GPT-2."""
    import tensorflow as tf

    model = _module("openai_gpt2_model", _file("gpt_2_simple", "src", "model.py"))
    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.set_random_seed(0)
        ids = tf.compat.v1.placeholder(tf.int32, [4, 9])
        result = model.model(model.HParams(n_vocab=61, n_ctx=16, n_embd=32, n_head=4, n_layer=3), ids)
    return GraphSide(graph, [ids], [result["logits"]])
