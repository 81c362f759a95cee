"""Images and the network: reading, training, measuring and serving. Knows nothing of Django."""
