"""The transformers library as a source: tiny configurations, signatures, and what a model is called with."""
