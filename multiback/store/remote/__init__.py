"""Run directories at a URL."""
