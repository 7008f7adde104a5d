"""The Keras class of every metric, and what the families share."""
