"""Lets every allocator search the same problems with equal means, and compares what each found by itself."""
