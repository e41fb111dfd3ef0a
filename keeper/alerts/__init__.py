"""What people are told, and how it reaches them.

``rules`` decides, purely, what a cycle is worth saying; ``delivery`` carries it out through a bounded queue. Nothing
here can delay the decision loop, raise into it, or hand out a secret.
"""
