"""Common corruptions, batched and keyed by sample id."""
