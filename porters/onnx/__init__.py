"""The ONNX porter: graphs that another exporter wrote, brought into the zoo's form."""
