"""The whole keeper over real sockets: our own simulated exchange, and an independent venue of another protocol."""
