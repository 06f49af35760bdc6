"""The local page for photographers. The server imports no torch: a process beside it does."""
