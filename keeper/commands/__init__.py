"""What each command does, apart from how its command line is read."""
