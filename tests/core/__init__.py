"""The arithmetic and the judgement, as stories and as properties."""
