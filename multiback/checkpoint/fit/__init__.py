"""What `ModelCheckpoint` has to know about a running `fit`."""
