"""The simulated exchange met by the real client over loopback."""
