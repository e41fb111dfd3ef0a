"""Keepers broken on purpose, one for each row of the failure catalogue: nothing in the catalogue may go unnoticed."""
