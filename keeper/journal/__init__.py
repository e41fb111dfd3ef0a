"""The durable record: what was seen, decided, intended, sent, and what became of it."""
