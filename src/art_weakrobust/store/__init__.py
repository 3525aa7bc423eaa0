"""A run directory: manifest, lock, parquet parts by chunk, atomic writes, resume."""

from .atomic import atomic_write
from .layout import STAGES
from .parts import Parts
from .run import Run
from .tensors import read_safetensors, to_safetensors

__all__ = ["STAGES", "Parts", "Run", "atomic_write", "read_safetensors", "to_safetensors"]
