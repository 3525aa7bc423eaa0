"""Tensor functions over batches: keyed sampling, norms and projections, gradient steps, losses."""
