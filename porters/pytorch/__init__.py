"""ATen to ONNX: one small function for each operator, grouped in files by domain."""
