"""A rule tried on the past before it is saved: what it would have raised, which threshold suits, what it would have
caught, and what its message would say. It judges as the engine does.
"""
