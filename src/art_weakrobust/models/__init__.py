"""Where models come from: the digits network, a Python factory with a weights file."""
