"""The console: its page, who signs in to it and how, and what a session is worth."""
