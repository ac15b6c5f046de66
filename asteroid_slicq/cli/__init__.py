"""The command line ``asteroid-slicq``."""
