"""What is kept on disk: embeddings and attention maps."""
