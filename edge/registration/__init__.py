"""The pure core: observations in, registrations and their change log out."""
