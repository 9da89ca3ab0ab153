"""What several tests share: graphs, models of a few thousand weights, servers, an editor."""
