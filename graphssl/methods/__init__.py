"""One file, one method; each is found by its presence here."""
