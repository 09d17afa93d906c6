"""The commands of ``edge export``; nothing heavy is imported before a command has been understood."""
