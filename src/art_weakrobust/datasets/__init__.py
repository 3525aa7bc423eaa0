"""Where samples come from: digits, parquet, npz, arrays."""
