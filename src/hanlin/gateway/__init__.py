"""The gateway: one dataplane behind all doors, the strict HTTP front, health, metrics and the control API's routes.

Does no tokenising and no maths and loads no engine: text goes to workers as it came.
"""
