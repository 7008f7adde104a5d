"""One number a row, by other libraries: queries, rows of labels, images."""
