"""Which ops of ``tf.raw_ops`` have no meaning in a static numeric graph, and why."""

from __future__ import annotations

import re

# The first pattern that a name matches gives the reason.
REASONS: tuple[tuple[str, str], ...] = (
    (
        "training: gradients, optimisers, losses over samples",
        r"Grad($|V\d|[A-Z])|^(Resource)?(Sparse)?Apply|BackpropFilter|^Dilation2DBackprop|^CudnnRNNBackprop|^Sdca"
        r"|Accumulator|CandidateSampler|^AllCandidate|^BoostedTrees|^IsBoostedTrees|^CTCLoss|^SymbolicGradient"
        r"|^KMC2|^KmeansPlusPlus|^ComputeAccidentalHits|^InvGrad|^FakeQuant.*Gradient|^ResourceSparseApply|NegTrain"
        r"|Skipgram|GradientDescent",
    ),
    (
        "input pipelines: datasets, iterators, queues, stages",
        r"Dataset|Iterator|^Optional|Queue|^Barrier|^(Ordered)?Map(Clear|Incomplete|Peek|Size|Stage|Unstage)|Stage"
        r"|^ThreadPoolHandle|^StatsAggregator|MemoryCache|SeedGenerator|IterationCounter|^RecordInput|^Batch$"
        r"|^Unbatch|^BatchFunction|^GetOptions|^(Un)?CompressElement|^GetElementAtIndex|^SparseTensorSlice|^MapDefun"
        r"|^CompositeTensorVariant|^UncompressElement|^Unstage|^WindowOp|^UnwrapVariant|^ComputeBatchSize$",
    ),
    (
        "strings, files, codecs and logs: no static numeric form; cut the model at the first numeric tensor",
        r"String|Regex|Decode(?!r)|Encode|Unicode|^Substr|^AsString|^ReadFile|^WriteFile|^Save|^Restore|Reader"
        r"|Reader|^Parse|^Print|Summary|^Fact$|^ReduceJoin|SegmentJoin|^Matching|Filename|Filespec|MergeV2Checkpoints"
        r"|^SerializeTensor|^ExtractJpegShape|^Fingerprint|^GenerateVocab|^LoadAndRemap|^Assert|^Timestamp|^Abort"
        r"|^SerializeSparse|^SerializeManySparse|^DeserializeSparse|^DeserializeManySparse|ManySparse|SparseToTensorsMap|^ImportEvent"
        r"|^FileSystem|^SparseCross|^RaggedCross|^DebugNan|^DebugNumeric|^StaticRegex|^EditDistance",
    ),
    ("tables and resources filled while the program runs", r"Table|^InitializeTable|Mutex|^ImmutableConst$"),
    (
        "variables written while the model runs: a static graph has no state",
        r"^Assign|^Resource(Scatter|Strided|CountUpTo)|^Scatter(Add|Sub|Mul|Div|Max|Min|Update)$|^ScatterNd(Add|Sub|Max"
        r"|Min|Update)$|^Variable|^VarHandle|^VarIsInit|^IsVariableInit|TemporaryVariable|^CountUpTo|^StridedSliceAssign"
        r"|^Ref|^DestroyResource|^Stack|Session|^ReadVariableXla|^DisableCopyOnRead|^Stateful|^RngSkip|^RngRead"
        r"|^NonDeterministic|^ReadVariableOp$|^ResourceGather",
    ),
    (
        "devices, distribution and other processes",
        r"TPU|^Collective|Nccl|^Send$|^Recv$|Xla|SparseCore|^AllToAll|^CrossReplica|^Outfeed|^Infeed|^Prelinearize"
        r"|^RemoteCall|^Distributed|^SyncDevice|^DeviceIndex|^CheckPinned|Minibatch|^ConvertToCoo|^GlobalIterId"
        r"|Coo|^WorkerHeartbeat|^ConfigureD|^ConfigureT|^Copy|^DebugIdentity|^DebugGradient|^Experimental.*Handle|^Py|^EagerPy|MultiDevice|^StoreMinibatch|^ConsumeMutex",
    ),
    (
        "control flow and lists of tensors: see the tests of control flow, they are no single nodes",
        r"^(Stateless)?(If|While|Case)$|^For$|^Switch|^Merge$|^Enter|^Exit|^NextIteration|^LoopCond|^TensorList"
        r"|^EmptyTensor|^TensorArray|^TensorMap|^NoOp|^ControlTrigger|^PartitionedCall|^StatefulPartitionedCall"
        r"|^FakeParam|^Placeholder(V2)?$|^_|^Const$|^ToBool",
    ),
    ("whole recurrent layers: see the tests of recurrent layers", r"LSTM|^GRU|^CudnnRNN"),
    (
        "sparse matrices and ragged tensors as variants: no tensor of ONNX holds them",
        r"^SparseMatrix|CSR|Variant|^SparseTensorTo|^DenseToCSR",
    ),
)
# What draws numbers: two runs of TensorFlow differ as well, or its generator has no form in ONNX.
RANDOM = re.compile(
    r"^Random|^StatelessRandom|^StatelessTruncated|^StatelessMulti|^StatelessParam|^StatelessShuffle|^StatelessSample"
    r"|^Multinomial|TruncatedNormal|^SampleDistorted|^Fractional(Max|Avg)Pool$|^RandomIndexShuffle"
)
# TensorFlow 2.21 ends with a segmentation fault in each of these, whether its operands are constants or inputs.
_CRASHES = "TensorFlow's only kernel for it, oneDNN's, crashes: there is nothing to compare with"
IMPOSSIBLE = {
    "QuantizedConv2DWithBiasSignedSumAndReluAndRequantize": _CRASHES,
    "QuantizedConv2DWithBiasSumAndRelu": _CRASHES,
    "QuantizedConv2DWithBiasSumAndReluAndRequantize": _CRASHES,
    "Eig": "eigenvalues of general matrices are complex, and their order is LAPACK's",
    "MatrixLogarithm": "exists for complex numbers only, and no runtime takes or returns them",
}


def why_none(name: str) -> str | None:
    """Return why an op has no meaning in a static numeric graph, ``None`` if it has one."""
    return next((reason for reason, pattern in REASONS if re.search(pattern, name)), None)


def why_not(name: str) -> str | None:
    """Return why an op with a meaning cannot be translated at all, ``None`` if nothing stands in the way."""
    if RANDOM.search(name):
        return "draws random numbers"
    return IMPOSSIBLE.get(name) or _unusable(name)


def _unusable(name: str) -> str | None:
    """Ask TensorFlow whether it still has the op, and whether it runs on a CPU at all."""
    from tensorflow.python.framework import kernels, op_def_registry, versions

    definition = op_def_registry.get(name)
    if definition is not None and 0 < definition.deprecation.version <= versions.GRAPH_DEF_VERSION:
        return f"TensorFlow has removed it: {definition.deprecation.explanation}"
    devices = {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(name).kernel}
    return None if devices & {"CPU", "DEFAULT"} else "TensorFlow has no kernel for it on a CPU"
