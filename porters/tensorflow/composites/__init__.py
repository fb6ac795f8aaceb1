"""Recognisers of what TensorFlow composes and ONNX has whole; every module in this folder is loaded."""
