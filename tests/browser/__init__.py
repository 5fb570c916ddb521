"""Home Assistant as a person sees it: a browser, and what is done in it.

The end-to-end test and `scripts/screenshots` both do it from here.
"""
