"""Paper trading: the real prices, books and market rules of a venue, and an account of our own on them.

Nothing here can send an order. What is read of the venue comes through ``terms.Source``; what is ours is in a file of
its own, changed in one transaction an event.
"""
