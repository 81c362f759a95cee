"""Training: configuration, network, input, the loop and the export."""
