"""What is known of every attack, as data: one module a group, all of them light (no torch, no art)."""
