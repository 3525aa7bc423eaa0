"""Records in, HTML, JSON and figures out."""
