"""AutoAttack and its parts, run by the original's own code (pyautoattack), made resumable, seeded and faster."""
