"""What a person reads when something is wrong: one clear message, the right exit code, and nothing sent."""
