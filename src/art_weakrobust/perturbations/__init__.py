"""What a model is validated against: attacks and corruptions."""
