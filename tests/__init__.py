"""Tests of the DSMR integration, and the simulated meter they read."""
