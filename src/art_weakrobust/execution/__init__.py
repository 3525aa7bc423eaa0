"""The Maps that run the street's work, chunk by chunk: :class:`.serial.SerialMap` in this process."""
