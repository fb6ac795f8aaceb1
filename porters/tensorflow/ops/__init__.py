"""Translators by domain; every module in this folder is loaded and registers its functions."""
