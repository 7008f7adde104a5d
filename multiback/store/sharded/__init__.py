"""Read states that several processes wrote in parts."""
