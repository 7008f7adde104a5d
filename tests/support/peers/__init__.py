"""scikit-learn's own tests, with each call answered by our metrics too.

`nox -s peers` runs them on three backends and writes docs/peers.md.
"""
