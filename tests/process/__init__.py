"""The daemon in a process of its own, against venues that answer over sockets and go wrong."""
