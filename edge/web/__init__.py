"""The page: what the device sees, in a browser, and the same as JSON.

A process of its own beside the daemon. It reads the store, and changes no more than a person's word on an
image; everything heavy is done by one thread that can be told to wait.
"""
