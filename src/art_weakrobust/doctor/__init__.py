"""What is wrong with a model, its data or its set-up, found in seconds, before an hour is spent on it."""
