"""The compiler's passes: one file each, each with a contract; the order stands in ``zoo.ascend.compiler``."""
