"""Many models on one data set: one resumable run each, then one table, and what their weak sets have in common."""
