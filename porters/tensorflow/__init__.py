"""TensorFlow to ONNX: one small function for each operation, and recognisers of composites."""
