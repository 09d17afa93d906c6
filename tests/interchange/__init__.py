"""Tests of the interchange room."""
