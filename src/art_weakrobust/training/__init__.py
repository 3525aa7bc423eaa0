"""Fine-tuning on what was found."""
