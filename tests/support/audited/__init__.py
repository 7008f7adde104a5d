"""Models for `audit`: with planted errors, without, and as Keras documents them."""
