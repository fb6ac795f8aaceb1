"""Samples of ``tf.raw_ops``: one line each, by domain; every module in this folder adds its own."""
