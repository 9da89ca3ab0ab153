"""Where the shipped graphs come from: `python -m workflows.source --server http://127.0.0.1:8188`."""
