"""The Ascend-style backend: compiles an ONNX model to an ONNX model with a chip's numerics."""
