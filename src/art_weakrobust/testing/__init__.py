"""For plugin authors and for us: small networks and contract checks."""
