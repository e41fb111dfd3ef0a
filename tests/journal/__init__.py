"""Stories about the journal, told on real files."""
