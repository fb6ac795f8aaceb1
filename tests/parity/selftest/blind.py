"""A checker that passes everything."""

from dataclasses import replace

from parity import harness


def check(artifact, **options):
    result = harness.check(artifact, **options)
    return replace(result, verdict="pass", layers=[], first_divergence=None)
